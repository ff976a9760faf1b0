"""Tiny files in the layouts in which the data sets are published, made up here."""

from collections.abc import Callable
from pathlib import Path

from scenarios.data.sources import nbaiot, nslkdd, unsw

NSL_HEADER = nslkdd.HEADER
UNSW_SMALL = (
    "id,dur,proto,service,state,spkts,dpkts,sbytes,dbytes,rate,sttl,dttl,sload,dload,sloss,dloss,"
    "sinpkt,dinpkt,sjit,djit,swin,stcpb,dtcpb,dwin,tcprtt,synack,ackdat,smean,dmean,trans_depth,"
    "response_body_len,ct_srv_src,ct_state_ttl,ct_dst_ltm,ct_src_dport_ltm,ct_dst_sport_ltm,"
    "ct_dst_src_ltm,is_ftp_login,ct_ftp_cmd,ct_flw_http_mthd,ct_src_ltm,ct_srv_dst,"
    "is_sm_ips_ports,attack_cat,label"
)
UNSW_LARGE = (
    "srcip,sport,dstip,dsport,proto,state,dur,sbytes,dbytes,sttl,dttl,sloss,dloss,service,Sload,"
    "Dload,Spkts,Dpkts,swin,dwin,stcpb,dtcpb,smeansz,dmeansz,trans_depth,res_bdy_len,Sjit,Djit,"
    "Stime,Ltime,Sintpkt,Dintpkt,tcprtt,synack,ackdat,is_sm_ips_ports,ct_state_ttl,"
    "ct_flw_http_mthd,is_ftp_login,ct_ftp_cmd,ct_srv_src,ct_srv_dst,ct_dst_ltm,ct_src_ltm,"
    "ct_src_dport_ltm,ct_dst_sport_ltm,ct_dst_src_ltm,attack_cat,Label"
)
TON = (
    "ts,src_ip,src_port,dst_ip,dst_port,proto,service,duration,src_bytes,dst_bytes,conn_state,"
    "missed_bytes,src_pkts,src_ip_bytes,dst_pkts,dst_ip_bytes,dns_query,dns_qclass,dns_qtype,"
    "dns_rcode,dns_AA,dns_RD,dns_RA,dns_rejected,ssl_version,ssl_cipher,ssl_resumed,"
    "ssl_established,ssl_subject,ssl_issuer,http_trans_depth,http_method,http_uri,http_referrer,"
    "http_version,http_request_body_len,http_response_body_len,http_status_code,http_user_agent,"
    "http_orig_mime_types,http_resp_mime_types,weird_name,weird_addl,weird_notice,label,type"
)
EDGE = (
    "frame.time,ip.src_host,ip.dst_host,arp.dst.proto_ipv4,arp.opcode,arp.hw.size,"
    "arp.src.proto_ipv4,icmp.checksum,icmp.seq_le,icmp.transmit_timestamp,icmp.unused,"
    "http.file_data,http.content_length,http.request.uri.query,http.request.method,http.referer,"
    "http.request.full_uri,http.request.version,http.response,http.tls_port,tcp.ack,tcp.ack_raw,"
    "tcp.checksum,tcp.connection.fin,tcp.connection.rst,tcp.connection.syn,tcp.connection.synack,"
    "tcp.dstport,tcp.flags,tcp.flags.ack,tcp.len,tcp.options,tcp.payload,tcp.seq,tcp.srcport,"
    "udp.port,udp.stream,udp.time_delta,dns.qry.name,dns.qry.name.len,dns.qry.qu,dns.qry.type,"
    "dns.retransmission,dns.retransmit_request,dns.retransmit_request_in,mqtt.conack.flags,"
    "mqtt.conflag.cleansess,mqtt.conflags,mqtt.hdrflags,mqtt.len,mqtt.msg_decoded_as,mqtt.msg,"
    "mqtt.msgtype,mqtt.proto_len,mqtt.protoname,mqtt.topic,mqtt.topic_len,mqtt.ver,mbtcp.len,"
    "mbtcp.trans_id,mbtcp.unit_id,Attack_label,Attack_type"
)
CIC_PARTS = (
    "flow_duration,Header_Length,Protocol Type,Duration,Rate,Srate,Drate,fin_flag_number,"
    "syn_flag_number,rst_flag_number,psh_flag_number,ack_flag_number,ece_flag_number,"
    "cwr_flag_number,ack_count,syn_count,fin_count,urg_count,rst_count,HTTP,HTTPS,DNS,Telnet,SMTP,"
    "SSH,IRC,TCP,UDP,DHCP,ARP,ICMP,IPv,LLC,Tot sum,Min,Max,AVG,Std,Tot size,IAT,Number,Magnitue,"
    "Radius,Covariance,Variance,Weight,label"
)
CIC_MERGED = (
    "Header_Length,Protocol Type,Time_To_Live,Rate,fin_flag_number,syn_flag_number,"
    "rst_flag_number,psh_flag_number,ack_flag_number,ece_flag_number,cwr_flag_number,ack_count,"
    "syn_count,fin_count,rst_count,HTTP,HTTPS,DNS,Telnet,SMTP,SSH,IRC,TCP,UDP,DHCP,ARP,ICMP,IGMP,"
    "IPv,LLC,Tot sum,Min,Max,AVG,Std,Tot size,IAT,Number,Variance,Label"
)
ZEEK_HEAD = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t"
    "orig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\t"
    "orig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents   label   detailed-label\n"
)


def line(header: str, default: str = "0", **cells: object) -> str:
    """A row under a header; a name's "." and " " are written "__" here."""
    given = {name.replace("__", "."): str(value) for name, value in cells.items()}
    names = header.split(",")
    unknown = given.keys() - set(names)
    assert not unknown, unknown
    return ",".join(given.get(name, default) for name in names)


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def nsl_row(label: str, difficulty: str = "21", **cells: object) -> str:
    fields = {"protocol_type": "tcp", "service": "http", "flag": "SF", **cells}
    header = ",".join(NSL_HEADER)
    return line(header, **{**fields, "class": label, "difficulty": difficulty})


def nsl_kdd(folder: Path) -> None:
    write(
        folder / "KDDTrain+.txt",
        nsl_row("normal", src_bytes=491),
        nsl_row("neptune", flag="S0", service="private", serror_rate="1.00"),
        nsl_row("guess_passwd", service="telnet"),
    )
    write(folder / "KDDTest+.txt", nsl_row("normal"), nsl_row("mscan", protocol_type="udp"))


def n_baiot(folder: Path) -> None:
    header = ",".join(nbaiot.PUBLISHED)
    jitter = {"HH_jit_L5_mean": "1.54044685e+09", "HH_jit_L5_variance": "5.26e17"}
    device = folder / "Danmini_Doorbell"
    plain, huge, negative = line(header, "1.5"), line(header, **jitter), line(header, "-2.0")
    write(device / "benign_traffic.csv", header, plain, huge, negative)
    write(device / "mirai_attacks" / "ack.csv", header, line(header, "7"))
    write(folder / "Ecobee_Thermostat" / "benign_traffic.csv", header, line(header, "2"))
    write(folder / "Ecobee_Thermostat" / "gafgyt_attacks" / "combo.csv", header, line(header, "9"))
    write(folder / "demonstrate_structure.csv", header, line(header, "3"))  # UCI ships this, too


def unsw_small(folder: Path) -> None:
    benign = line(UNSW_SMALL, proto="tcp", service="-", state="FIN", attack_cat="Normal", sttl=31)
    worm = line(UNSW_SMALL, proto="udp", service="dns", state="INT", attack_cat="Worms", label=1)
    door = line(UNSW_SMALL, proto="ospf", service="-", state="INT", attack_cat="Backdoor", label=1)
    bom = "\ufeff"
    write(folder / "UNSW_NB15_training-set.csv", bom + UNSW_SMALL, benign, worm)
    write(folder / "UNSW_NB15_testing-set.csv", bom + UNSW_SMALL, door)


def unsw_large(folder: Path) -> None:
    benign = line(
        UNSW_LARGE, srcip="59.166.0.0", dstip="149.171.126.6", proto="udp", state="CON",
        service="dns", Stime=1421927414, attack_cat="", dsport=53, ct_ftp_cmd="",
    )  # fmt: skip
    attack = line(
        UNSW_LARGE, srcip="175.45.176.0", dstip="149.171.126.10", proto="tcp", state="FIN",
        service="-", Stime=1421927999, attack_cat=" Fuzzers ", Label=1, sport="0x000b",
        ct_flw_http_mthd="", is_ftp_login=" ",
    )  # fmt: skip
    late = line(
        UNSW_LARGE, srcip="1.2.3.4", dstip="5.6.7.8", proto="arp", state="INT", service="-",
        Stime=1424219000, attack_cat="Backdoors", Label=1,
    )  # fmt: skip
    write(folder / "UNSW-NB15_1.csv", benign, attack, end="\r\n")
    write(folder / "UNSW-NB15_2.csv", late)


def ton_iot(folder: Path) -> None:
    texts = ("service", "dns_query", "dns_AA", "ssl_cipher", "http_method", "http_uri")
    unset = dict.fromkeys(texts, "-")
    benign = line(
        TON, **{**unset, "ts": 1554198358, "src_ip": "192.168.1.190", "dst_ip": "13.0.0.1",
        "proto": "udp", "conn_state": "SF", "type": "normal", "service": "dns", "dns_AA": "T"},
    )  # fmt: skip
    attack = line(
        TON, **{**unset, "ts": 1556199999, "src_ip": "192.168.1.31", "dst_ip": "192.168.1.190",
        "proto": "tcp", "conn_state": "S0", "type": "scanning", "label": 1},
    )  # fmt: skip
    quoted = line(
        TON, **{**unset, "ts": 1556200001, "src_ip": "192.168.1.33", "dst_ip": "192.168.1.190",
        "proto": "tcp", "conn_state": "SF", "type": "xss", "label": 1,
        "http_uri": '"/a?b=1,2"', "http_method": "GET", "src_bytes": "0.0.0.0"},
    )  # fmt: skip
    write(folder / "Processed_Network_dataset" / "Network_dataset_1.csv", TON, benign, attack)
    # One of the 23 files has one column more.
    write(
        folder / "Processed_Network_dataset" / "Network_dataset_2.csv", TON + ",uid", quoted + ",C1"
    )


def edge_iiotset(folder: Path) -> None:
    benign = line(
        EDGE, "0.0", **{"frame.time": " 2021 11:44:10.081753000 ", "http.request.method": "0",
        "tcp.flags": "24.0", "tcp.len": "77", "mqtt.hdrflags": "0x00000030", "Attack_type":
        "Normal", "mqtt.topic": "Temperature_and_Humidity", "dns.qry.name.len": "a.local"},
    )  # fmt: skip
    attack = line(
        EDGE, "0", **{"frame.time": " 2021 12:00:00.0 ", "http.request.method": "GET",
        "http.file_data": '"<script>a, b</script>"', "tcp.flags": "0x00000002",
        "Attack_type": "XSS", "Attack_label": "1"},
    )  # fmt: skip
    deep = folder / "Edge-IIoTset dataset" / "Selected dataset for ML and DL"
    write(deep / "DNN-EdgeIIoT-dataset.csv", EDGE, benign, attack)
    write(deep / "ML-EdgeIIoT-dataset.csv", EDGE, benign)


def ciciot_parts(folder: Path) -> None:
    benign = line(CIC_PARTS, label="BenignTraffic", IAT="8.33e7", Rate="inf")
    attack = line(CIC_PARTS, label="DDoS-ICMP_Flood", IAT="8.31e7", Rate="12.5")
    write(folder / "part-00000-363d1ba3-c000.csv", CIC_PARTS, benign, attack)
    write(folder / "part-00001-363d1ba3-c000.csv", CIC_PARTS, attack)


def ciciot_merged(folder: Path) -> None:
    benign = line(CIC_MERGED, Label="BENIGN", Rate="")
    attack = line(CIC_MERGED, Label="DDOS-ICMP_FLOOD", Rate="12.5")
    write(folder / "MERGED_CSV" / "Merged01.csv", CIC_MERGED, benign, attack)
    write(folder / "MERGED_CSV" / "Merged02.csv", CIC_MERGED, attack)


def zeek_row(second: int, labels: str, port: int = 80, ends: str = "SF") -> str:
    """One flow of IoT-23's; its last three columns are separated by three spaces."""
    return "\t".join(
        f"{1545403816 + second}.5 C{second} 192.168.1.195 41040 185.244.25.235 {port} tcp -"
        f" 3.139 10 20 {ends} - - 0 S 3 180 2 100".split()
    ) + f"\t{labels}"  # fmt: skip


def iot_23(folder: Path) -> None:
    folder = folder / "opt" / "Malware-Project" / "BigDataset" / "IoTScenarios"  # as in the archive
    write(
        folder / "CTU-IoT-Malware-Capture-34-1" / "bro" / "conn.log.labeled",
        ZEEK_HEAD
        + "\n".join(
            [
                zeek_row(0, "-   Benign   -"),
                zeek_row(1, "(empty)   Malicious   PartOfAHorizontalPortScan", 23),
                zeek_row(2, "-   Malicious   C&C-HeartBeat-FileDownload"),
                zeek_row(3, "-   Malicious   -"),
            ]
        ),
        "#close\t2019-03-15-14-50-49",
    )
    write(
        folder / "CTU-Honeypot-Capture-4-1" / "bro" / "conn.log.labeled",
        ZEEK_HEAD + zeek_row(0, "-   benign   -"),
    )


LAYOUTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "nsl-kdd": ("nsl-kdd", nsl_kdd),
    "nbaiot": ("nbaiot", n_baiot),
    "unsw-nb15": ("unsw-nb15", unsw_small),
    "unsw-nb15-large": ("unsw-nb15", unsw_large),
    "ton-iot": ("ton-iot", ton_iot),
    "iot-23": ("iot-23", iot_23),
    "edge-iiotset": ("edge-iiotset", edge_iiotset),
    "ciciot2023": ("ciciot2023", ciciot_parts),
    "ciciot2023-merged": ("ciciot2023", ciciot_merged),
}
"""Name of a layout to its set and what makes it."""

HEADERS = {
    "nsl-kdd": [",".join(NSL_HEADER)],
    "unsw-nb15": [UNSW_SMALL, ",".join(unsw.HEADER)],
    "ton-iot": [TON],
    "edge-iiotset": [EDGE],
    "ciciot2023": [CIC_PARTS, CIC_MERGED],
}
