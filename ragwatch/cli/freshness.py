"""`ragwatch freshness` and `ragwatch policy`."""

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, QuietOption
from ragwatch.errors import ExitCode


def freshness(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False, quiet: QuietOption = False) -> int:
    """Say how long edits, additions and deletions take to become visible, and whether that is soon enough."""
    from ragwatch.app.report import freshness_report
    from ragwatch.cli.terminal import Terminal
    from ragwatch.health.objectives import Standing
    from ragwatch.render.freshness import freshness_json, freshness_text

    report = freshness_report(config)
    Terminal(as_json, quiet).result(freshness_text(report), freshness_json(report))
    standings = {one.standing for one in report.numbers}
    if standings & {Standing.AT_RISK, Standing.MISSED}:
        return ExitCode.FINDINGS
    return ExitCode.INCOMPLETE if Standing.NOT_ENOUGH in standings else ExitCode.DONE


def policy(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False, quiet: QuietOption = False) -> int:
    """Say how much scheduled jobs may repair alone at the moment, and why."""
    from ragwatch.app.report import policy_status
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.freshness import policy_json, policy_text

    status = policy_status(config)
    Terminal(as_json, quiet).result(policy_text(status), policy_json(status))
    return ExitCode.DONE
