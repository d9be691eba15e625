"""The version of ppbench, apart from ``ppbench/__init__.py``: modules that need it do not import the public names."""

__version__ = "0.1.0"
