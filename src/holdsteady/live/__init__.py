"""Models on live sources: the newest frame only, latency measured, nothing queued."""
