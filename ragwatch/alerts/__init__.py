"""Channels: where people are told, each behind the port `Channel`, and the delivery of the outbox."""
