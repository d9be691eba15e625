"""The metrics of docs/metrics.md once more, in plain loops over dicts; shares no code with ppbench.

Arguments: ``errors[corruption][severity]`` and ``clean`` are fractions; results are in percent.
"""


def mean_error(errors):
    total, count = 0.0, 0
    for by_severity in errors.values():
        for error in by_severity.values():
            total += error
            count += 1
    return 100 * total / count


def corruption_error(errors, denominators, corruption):
    above = below = 0.0
    for severity in errors[corruption]:
        above += errors[corruption][severity]
        below += denominators[corruption][severity]
    return 100 * above / below


def mean_corruption_error(errors, denominators):
    total = 0.0
    for corruption in errors:
        total += corruption_error(errors, denominators, corruption)
    return total / len(errors)


def relative_corruption_error(errors, clean, denominators, denominators_clean, corruption):
    above = below = 0.0
    for severity in errors[corruption]:
        above += errors[corruption][severity] - clean
        below += denominators[corruption][severity] - denominators_clean
    return 100 * above / below


def relative_mean_corruption_error(errors, clean, denominators, denominators_clean):
    total = 0.0
    for corruption in errors:
        total += relative_corruption_error(errors, clean, denominators, denominators_clean, corruption)
    return total / len(errors)


def net_robustness(error, mean, baseline_error, baseline_mean):
    return 100 * ((baseline_error - error) + (baseline_mean - mean)) / (2 * baseline_error)
