"""From the request of an inspection to its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ppbench.inspection.request import InspectionRequest, inspect_networks
from ppbench.models.card_options import CardOptions


def test_a_request_gives_a_report_and_code_of_the_networks_runs_in_the_context() -> None:
    entered: list[bool] = []

    @contextmanager
    def running() -> Iterator[None]:
        entered.append(True)
        yield

    request = InspectionRequest(
        "fashion-mnist-resnet8-pp3", against="fashion-mnist-resnet8", corruption="fog", severity=2, filters=(3, 1),
        draws=16, seed=5, card_options=CardOptions(mean=(0.25,)),
    )  # fmt: skip
    report = inspect_networks(request, running)
    assert entered == [True, True]  # to load the network, and to run it and the other one
    assert [one.name for one in report.networks] == [request.model, request.against]
    assert [one.card.mean for one in report.networks] == [(0.25,), (0.25,)]
    assert [one.seed for one in report.networks] == [5, 5]
    assert report.inspection.filters == (3, 1)
    assert {(image.corruption, image.severity) for image in report.inspection.images} == {("fog", 2)}


def test_a_request_for_one_network_has_the_defaults_of_the_command() -> None:
    report = inspect_networks(InspectionRequest("fashion-mnist-resnet8", draws=16))
    assert report.against is None
    assert len(report.inspection.images) == 2
    assert {(image.corruption, image.severity) for image in report.inspection.images} == {("gaussian_noise", 3)}
