"""The settings of a node, as `gateway.toml` and the flags of `hedgerow up` give them.

Every key's text below is its documentation; `docs/configuration.md` is checked against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from gossip.antigens import EVIDENCE_MIN, LIFE_S_MAX
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.errors import ConfigError
from gossip.learning.tails import LENGTH
from node import addresses
from node.config import tables
from node.config.alerting import AlertSettings
from node.config.annotations import (
    Check,
    Duration,
    Example,
    Key,
    Range,
    Share,
    Size,
    printable,
)
from node.config.flooding import FloodSettings
from node.config.keeping import LedgerSettings, StateSettings
from node.config.sensing import SensorSettings
from node.config.training import TrainingSettings
from node.config.web import DashboardSettings, MetricsSettings
from node.p2p.limits import Limits

_PEER = PeerConfig()
_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_DAY_US = 86_400 * _SECOND_US
_LIMITS = Limits()
_DIAL_US = round(_LIMITS.dial_s * _SECOND_US)
_REQUEST_US = round(_LIMITS.request_s * _SECOND_US)
_IDLE_US = round((_LIMITS.keepalive_s + _LIMITS.keepalive_reply_s) * _SECOND_US)

SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux, less its closing NUL


ListenAddress = Annotated[str, Check(addresses.check_listen)]
AnnounceAddress = Annotated[str, Check(addresses.check_announce)]
BootstrapAddress = Annotated[str, Check(addresses.check_bootstrap)]


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """`[node]`: who this node is and where it can be reached."""

    name: Annotated[str, Range(0, 64), Check(printable)] = ""
    """What this gateway is called in logs, alerts and status: printable characters. Never sent to
    other peers. Left empty, the end of its peer identity is used."""

    state_dir: Path = Path("hedgerow-state")
    """Folder for the identity, the model and everything else that outlives a restart. Made with
    mode 0700. Only one node can use it at a time."""

    listen: Annotated[tuple[ListenAddress, ...], Range(0, 4)] = ("/ip4/0.0.0.0/tcp/4001",)
    """Addresses to accept peers on. 4001 is libp2p's customary port; 0 takes any free one. Left
    empty, the node only dials out."""

    announce: Annotated[tuple[AnnounceAddress, ...], Range(0, 4)] = ()
    """Addresses that other peers are told, for a gateway behind port forwarding. Left empty, they
    are told those it listens on."""

    bootstrap: Annotated[
        tuple[BootstrapAddress, ...],
        Range(0, 64),
        Example(f'["{addresses.EXAMPLE_ADDRESS}/p2p/12D3KooW…"]'),
    ] = ()
    """Peers to join by; any one of them that answers is enough, and none carries authority. Left
    empty, the node waits to be joined or uses the peers that it remembers."""

    psk_file: Annotated[Path | None, Example('"mesh.psk"')] = None
    """File with a pre-shared key: a swarm.key of libp2p, or 64 hexadecimal digits. Only nodes with
    the same key can connect. It keeps meshes apart; it does not decide which peer may do what."""


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """`[mesh]`: what an operator may want to change of the protocol. Defaults: PeerConfig's.

    Raises:
        ConfigError: PeerConfig refuses the values together.
    """

    cycle_us: Annotated[Duration, Range(10_000, _DAY_US)] = _PEER.cycle_us
    """Period of training and of exchange. At 10 s the detector's 13.3 kB frames make 1.3 kB/s.
    Our choice."""

    jitter: Annotated[float, Range(0.0, 0.5)] = _PEER.jitter
    """Each period is stretched or shrunk by up to this fraction, so that peers started together
    drift apart. Our choice."""

    exchange: Exchange = _PEER.exchange
    """How models are exchanged: age-weighted merge on receipt (Hegedűs, Danner, Jelasity),
    epidemic push (De Vos et al. 2023), or pairwise averaging (Boyd et al. 2006). Give all peers of
    a mesh the same; they do not compare it, and a pairwise peer ignores what it did not ask for."""

    fanout: Annotated[int, Range(1, 64)] = _PEER.fanout
    """Peers addressed by one push. 1 is right for age; epidemic wants about log2 of the mesh's
    size (De Vos et al. 2023, section 5.2)."""

    encoding: Encoding = _PEER.encoding
    """How numbers travel. float16 halves the traffic, int8 quarters it with stochastic rounding.
    Peers with different encodings understand each other."""

    fragments: Annotated[int, Range(1, 256)] = _PEER.fragments
    """Slices of the model, each with an age of its own. All peers of a mesh must agree: it is part
    of the fingerprint that they compare, and of the state on disk; with another number a node
    refuses its old state folder. Our choice."""

    fragments_per_push: Annotated[int, Range(1, 256)] = _PEER.fragments_per_push
    """Slices in one push, drawn at random; at most `fragments`. Fewer cost less traffic and mix
    more slowly. All of them by default: the models are small."""

    token_cost: Annotated[int, Range(1, 1_000)] = _PEER.token_cost
    """A of the randomised token account that limits pushes; Danner and Jelasity (2018, section 4)
    recommend 10."""

    token_capacity: Annotated[int, Range(1, 10_000)] = _PEER.token_capacity
    """C of the same account, at least `token_cost`; the same source recommends 20."""

    view_size: Annotated[int, Range(1, 256)] = _PEER.view_size
    """Peers known at a time: c of Cyclon (Voulgaris et al. 2005, section 3, uses 20 to 50)."""

    shuffle_size: Annotated[int, Range(1, 32)] = _PEER.shuffle_size
    """Entries exchanged in one shuffle: l of Cyclon, at most `view_size` (the paper: 3 to 8)."""

    join_retry_us_max: Annotated[Duration, Range(_SECOND_US, _DAY_US)] = _PEER.join_retry_us_max
    """Longest pause between two attempts to join while no bootstrap peer answers. Our choice."""

    def __post_init__(self) -> None:
        """Check the values against each other, as the peer will."""
        self.peer_config()

    def peer_config(self) -> PeerConfig:
        """The protocol's settings; what is not offered here keeps PeerConfig's default."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return PeerConfig(**given, sums_length=LENGTH, greets=True)


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """`[detector]`: when a flow counts as anomalous, and when flows count as one incident."""

    budget: Annotated[Share, Range(1e-5, 0.2)] = 0.005
    """False alarms that may be raised, as a share of benign flows. The threshold follows from it
    by split conformal calibration, once 10 / budget flows were seen: 2,000 at 0.5 %. Where the mesh
    lends what it knows of tails, 50 flows of this gateway's own are enough."""

    share_tail: bool = True
    """Whether others may borrow in turn: 34 numbers, among them which shares of this gateway's
    benign flows score beyond 32 levels, go into the mesh's mean. No score and no flow is among
    them; `hedgerow show-what-leaves` prints them. false gives nothing, and borrows all the same."""

    scaling: Literal["own", "mesh"] = "own"
    """Whose benign flows decide how features are scaled before the model sees them. With "mesh"
    this gateway tells the others the mean and standard deviation of every feature of its benign
    flows, and scales as all do that hold the same: by the medians of what they told, once three
    did. It needs `antigens.use`, on whose frames that travels. Give all peers of a mesh the same.
    Opt-in, for these numbers are made of benign flows; `hedgerow show-what-leaves` prints them."""

    gap_us: Annotated[Duration, Range(_SECOND_US, _DAY_US)] = 120 * _SECOND_US
    """An incident ends when its source was quiet for this long, by the flows' own time. Measured:
    with 120 s, 26,730 anomalous flows of our recordings were 9 incidents."""

    incident_us_max: Annotated[Duration, Range(_MINUTE_US, 7 * _DAY_US)] = 3_600 * _SECOND_US
    """Longest incident. What goes on longer is reported again, as a new one. Our choice."""

    incidents_max: Annotated[int, Range(1, 100_000)] = 1_000
    """Incidents open at a time; the one quiet for longest makes room. Bounds memory during an
    attack with forged sources. Our choice."""


@dataclass(frozen=True, slots=True)
class AntigenSettings:
    """`[antigens]`: what peers tell each other of attacks they have seen.

    Raises:
        ConfigError: share without use.
    """

    use: bool = True
    """Whether to take others' antigens, pass them on, and learn from those that raise no false
    alarms on this gateway's own traffic. false takes no part at all."""

    share: bool = False
    """Whether this gateway makes antigens of its own labelled attack flows: for each family an
    average picture of their features, never a row. `hedgerow show-what-leaves` prints them to the
    last number. Turned off later, what was shared is taken back. Off, nothing of the gateway's own
    evidence leaves."""

    evidence_min: Annotated[int, Range(EVIDENCE_MIN, 10_000)] = EVIDENCE_MIN
    """Labelled flows of a family without which nothing of it leaves. The least that peers take; the
    prototype that decided for antigens was measured with it."""

    life_us: Annotated[Duration, Range(3_600 * _SECOND_US, LIFE_S_MAX * _SECOND_US)] = 7 * _DAY_US
    """How long others may use an antigen of ours. After half of it a new one is made, if there is
    still evidence. Our choice: a gateway that is gone is forgotten within a week."""

    def __post_init__(self) -> None:
        """Refuse to share what nobody would be asked for."""
        if self.share and not self.use:
            raise ConfigError(
                "antigens.share = true needs antigens.use = true: what a peer shares travels with "
                "what it passes on"
            )


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """`[status]`: the socket that `hedgerow status` asks."""

    socket: Annotated[Path | None, Example('"/run/hedgerow/status.sock"')] = None
    """Unix socket, made with mode 0600. Left out: status.sock in the state folder."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`[log]`: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important messages shown. debug adds tracebacks and libp2p's own messages."""

    format: Literal["auto", "text", "json"] = "auto"
    """auto is text on a terminal and JSON lines otherwise."""


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """`[journal]`: a record of all that the peer was told, for replay. It holds the secret seed."""

    path: Annotated[Path | None, Example('"peer.journal"')] = None
    """File to write, with mode 0600; an existing one is refused. Left out: no journal is kept."""

    size_bytes_max: Annotated[Size, Range(2**16, 2**40)] = 256 * 2**20
    """The journal ends at this size; the node goes on without it. Our choice: about eight hours of
    10 s cycles, each with one 40 kB model received and one trained."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """`[limits]`: what peers may use of this machine, and deadlines. Defaults: the transport's."""

    connections_max: Annotated[int, Range(1, 10_000)] = _LIMITS.connections_max
    """Connections kept at a time; the least recently used is closed for a new one. Our choice,
    above the view's 20."""

    streams_per_peer_max: Annotated[int, Range(1, 1_000)] = _LIMITS.streams_max
    """Streams open at once on one connection. Measured: a peer with 500 idle ones starves all
    others without a cap, and 64 works."""

    frame_bytes_max: Annotated[Size, Range(2**12, 2**26)] = _LIMITS.frame_bytes_max
    """Largest frame sent or taken; a peer that sends a larger one is cut off, so raise it on all
    nodes of a mesh alike. Our choice: 25 frames of the default model."""

    in_flight_bytes_max: Annotated[Size, Range(2**16, 2**32)] = _LIMITS.inflight_bytes_max
    """Bytes of frames being received, or being sent, at a time, over all peers. Our choice."""

    inbox_max: Annotated[int, Range(8, 65_536)] = 256
    """Events waiting for the peer; received frames above it are shed and counted. Our choice: with
    frames of the default model, 3 MB."""

    dial_us_max: Annotated[Duration, Range(100_000, 10 * _MINUTE_US)] = _DIAL_US
    """Deadline for connecting to a peer; libp2p has none. 10 s held in our experiments."""

    request_us_max: Annotated[Duration, Range(100_000, 10 * _MINUTE_US)] = _REQUEST_US
    """Deadline for an exchange with a peer, to which the time for its bytes at 64 kB/s is added.
    30 s held in our experiments."""

    idle_us_max: Annotated[Duration, Range(_SECOND_US, 10 * _MINUTE_US)] = _IDLE_US
    """A silent connection is probed after half of this and closed after all of it. Measured:
    without it, a link that went down was still listed after 100 s."""

    def transport(self) -> Limits:
        """The transport's limits; what is not offered here keeps its default there."""
        return replace(
            _LIMITS,
            connections_max=self.connections_max,
            streams_max=self.streams_per_peer_max,
            frame_bytes_max=self.frame_bytes_max,
            inflight_bytes_max=self.in_flight_bytes_max,
            dial_s=self.dial_us_max / _SECOND_US,
            request_s=self.request_us_max / _SECOND_US,
            keepalive_s=self.idle_us_max / 2 / _SECOND_US,
            keepalive_reply_s=self.idle_us_max / 2 / _SECOND_US,
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a node. `load` them from a file, or take the `defaults`.

    Raises:
        ConfigError: two settings contradict each other.
    """

    node: NodeSettings = field(default_factory=NodeSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    sensors: Annotated[tuple[SensorSettings, ...], Key("sensor"), Range(0, 64)] = ()
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    antigens: AntigenSettings = field(default_factory=AntigenSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    status: StatusSettings = field(default_factory=StatusSettings)
    dashboard: DashboardSettings = field(default_factory=DashboardSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    flood: FloodSettings = field(default_factory=FloodSettings)
    state: StateSettings = field(default_factory=StateSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    log: LogSettings = field(default_factory=LogSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)

    def __post_init__(self) -> None:
        """Check what no single table can."""
        if len(bytes(self.status_socket)) > SOCKET_PATH_BYTES_MAX:
            raise ConfigError(
                f"status.socket: {self.status_socket} is longer than the {SOCKET_PATH_BYTES_MAX} "
                "bytes that a Unix socket's path may have; give a shorter one"
            )
        places = [sensor.place for sensor in self.sensors]
        twice = next((place for place in places if places.count(place) > 1), None)
        if twice is not None:
            raise ConfigError(f"sensor: {twice} is named twice; its flows would count double")
        if self.detector.scaling == "mesh" and not self.antigens.use:
            raise ConfigError(
                'detector.scaling = "mesh" needs antigens.use = true: what it tells others travels '
                "with antigens"
            )

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Read a `gateway.toml`; relative paths in it are taken from its folder.

        Raises:
            ConfigError: as `node.config.tables.load`.
        """
        return tables.load(cls, path)

    @classmethod
    def defaults(cls) -> "Settings":
        """The settings of a node without a file; relative paths are taken from here."""
        return tables.from_table(cls, {}, "defaults")

    def with_overrides(self, values: Mapping[str, Any]) -> "Settings":
        """A copy with dotted keys replaced, as flags do: `{"mesh.cycle": "5 s"}`.

        Relative paths are taken from the working directory, as for every other command.

        Raises:
            ConfigError: as `node.config.tables.override`.
        """
        return tables.override(self, values, "command line")

    @property
    def alerts_path(self) -> Path:
        """Where alerts go."""
        return self.alerts.path or self.node.state_dir / "alerts.jsonl"

    @property
    def dashboard_token_file(self) -> Path:
        """What lets a browser in."""
        return self.dashboard.token_file or self.node.state_dir / "dashboard-token"

    @property
    def status_socket(self) -> Path:
        """Where `hedgerow status` asks."""
        return self.status.socket or self.node.state_dir / "status.sock"


def example() -> str:
    """The text of an example `gateway.toml` with every key, commented out at its default."""
    from node.config.reference import example as render  # noqa: PLC0415 - reads source code; CLI only

    heading = "Every setting of a Hedgerow node, at its default. Relative paths start at this file."
    return render(Settings, heading)
