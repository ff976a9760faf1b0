"""Every exception that Hedgerow raises on purpose.

HedgerowError
├── LocalError          something on this machine is wrong; the operator can mend it
│   ├── ConfigError     a setting, flag, or scenario key
│   ├── SensorError     a log file or a sensor's stream
│   ├── StateError      the state directory
│   ├── NetworkError    this machine's sockets: a port in use, an address that cannot be bound
│   └── ExpectationError  a scenario ran, and its results are not what it expects
└── RemoteError         a peer broke the protocol; nothing here changed because of it
"""


class HedgerowError(Exception):
    """Base of all; its text is one line for a person: what is wrong, where, and what to do."""


class LocalError(HedgerowError):
    """A mistake or fault on this machine."""


class ConfigError(LocalError):
    """A setting, flag, or scenario key is unknown, of the wrong type, or out of range."""


class SensorError(LocalError):
    """A sensor's log cannot be read, or held no usable record."""


class StateError(LocalError):
    """The state directory is unreadable, locked, or damaged."""


class NetworkError(LocalError):
    """An address of this machine cannot be used."""


class ExpectationError(LocalError):
    """A run's results are not what its scenario expects. They have been written all the same."""


class RemoteError(HedgerowError):
    """A peer sent something the protocol forbids. The receiver's state is as it was before."""
