"""Sensors' logs: read whole (`reading`) or followed live (`follow`), one parser a source."""
