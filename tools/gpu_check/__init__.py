"""The check of ppbench on a GPU: is every result that of the CPU, and how fast is it? One script, 8 minutes.

``python -m tools.gpu_check --json docs/benchmarks/gpu.json`` at the root of a checkout; ppbench need not be installed.
``--full`` takes 24 minutes for all parts and more of each. ``--device cpu --quick`` runs the script without a card,
in about three minutes, to test the script itself.

The parts (`tools.gpu_check.parts`) run in the order of their worth, each in a process that is stopped when its time is
up. Every figure is written to the JSON file when it is known, so that nothing is lost if the machine goes away. A part
that fails is recorded with its error, and the next one runs. A part for which no time is left says so.

No network is needed. What must be there beside torch (with its triton), torchvision and numpy: the wheels of typer,
rich, pandas, pillow, pydantic (with pydantic-core, annotated-types, typing-inspection, typing-extensions), safetensors,
numba (with llvmlite), opencv-python or opencv-python-headless, scipy, filelock, jinja2 (with markupsafe), and
imagecorruptions-imaug, of which only the folder with the pictures of frost is read (``pip install --no-deps`` is
enough). `tools.gpu_check.needs` lists at the start what is missing.
"""
