"""A light flow meter of our own: from packets of a file or an interface to flows."""

from node.sensors.meter.counts import Counts
from node.sensors.meter.live import Live
from node.sensors.meter.meter import Meter, MeterConfig
from node.sensors.meter.pcap import packets, read_pcap

__all__ = ["Counts", "Live", "Meter", "MeterConfig", "packets", "read_pcap"]
