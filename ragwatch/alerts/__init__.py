"""Channels: where people are told, each behind the port `Channel`, and the delivery of the outbox.

A channel reads nothing but its settings; secrets are read where the configuration is (`ragwatch.app.alerts`).
"""

from typing import TYPE_CHECKING

from ragwatch.alerts.settings import ChannelSettings

if TYPE_CHECKING:
    from ragwatch.alerts.channel import HttpChannel


def open_channel(settings: ChannelSettings) -> "HttpChannel":
    """Return the channel of these settings. Nothing is sent; the HTTP client is imported here."""
    from ragwatch.alerts.alertmanager import AlertmanagerChannel
    from ragwatch.alerts.pagerduty import PagerDutyChannel
    from ragwatch.alerts.slack import SlackChannel
    from ragwatch.alerts.slack_bot import SlackBotChannel
    from ragwatch.alerts.webhook import WebhookChannel

    match settings.kind:
        case "slack":
            return SlackChannel(settings)
        case "slack-bot":
            return SlackBotChannel(settings)
        case "webhook":
            return WebhookChannel(settings)
        case "alertmanager":
            return AlertmanagerChannel(settings)
        case "pagerduty":
            return PagerDutyChannel(settings)
