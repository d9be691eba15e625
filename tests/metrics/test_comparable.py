from ppbench.metrics import headline_metrics
from ppbench.metrics.cell_errors import CellErrors
from tests.builders import make_classes, make_errors, make_run


def reasons(accuracies, normalizer=None, baseline=None):
    metrics = headline_metrics(accuracies, normalizer, baseline)
    assert all((metric.value is None) == (metric.reason is not None) for metric in metrics)
    return {metric.name: metric.reason for metric in metrics if metric.value is None}


def test_other_images_do_not_compare():
    one = CellErrors.from_run(make_run(make_errors(6)))
    other_seed = CellErrors.from_run(make_run(make_errors(6), name="base", seed=1))
    other_data = CellErrors.from_run(make_run(make_errors(6), name="base", dataset="imagenet-c"))
    assert reasons(one, other_seed, other_seed) == {
        "R_net": "base was measured on other images: seed 1, here 0",
    }
    other_ids = CellErrors.from_run(make_run(make_errors(6), name="base", ids_sha256="abcdef" * 10 + "3456"))
    assert reasons(one, one, other_ids) == {
        "R_net": "base was measured on other images: ids_sha256 abcdefabcdef, here 222222222222",
    }
    assert set(reasons(one, other_data, None)) == {"mCE", "relative_mCE", "R_net"}


def of_classes(name="net", **fields):
    return CellErrors.from_run(make_run(make_errors(6), name=name, classes=make_classes(**fields)))


def test_runs_compare_only_if_the_same_classes_compete():
    whole = CellErrors.from_run(make_run(make_errors(6), name="whole", total=5000))
    masked, all_compete = of_classes(), of_classes(name="base", logits="all")
    words = "base was measured on other classes: 200 of 1000 classes, here 200 classes masked"
    assert reasons(masked, all_compete, all_compete) == dict.fromkeys(("mCE", "relative_mCE", "R_net"), words)
    assert reasons(masked, whole, masked) == dict.fromkeys(
        ("mCE", "relative_mCE"), "whole was measured on other classes: all classes, here 200 classes masked"
    )
    own = of_classes(outputs=200, logits="own")
    assert reasons(masked, own, own) == {}, "among the same 200 classes in both"
    others = of_classes(name="base", names="4")
    assert reasons(masked, others, masked)["mCE"].endswith("here 200 classes masked (not the same ones)")


def test_a_wider_model_compares_with_one_made_for_the_dataset_if_its_other_outputs_are_masked():
    made_for_it = CellErrors.from_run(make_run(make_errors(7), name="narrow"))
    assert reasons(of_classes(), made_for_it, made_for_it) == reasons(made_for_it, of_classes(), of_classes()) == {}
    found = reasons(of_classes(logits="all"), made_for_it, made_for_it)
    assert set(found) == {"mCE", "relative_mCE", "R_net"}
    assert found["mCE"] == "narrow was measured on other classes: all classes, here 200 of 1000 classes"
