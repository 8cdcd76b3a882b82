"""Every backbone small, for tests of seconds, and the published layouts of conf/ with their size."""

from sv_py.models.arguments import (
    ASPArguments,
    BiLSTMArguments,
    CAMPPlusArguments,
    ECAPAArguments,
    ERes2NetV2Arguments,
    GhostVLADArguments,
    MQMHASTPArguments,
    NetVLADArguments,
    ReDimNet2Arguments,
    ResNetArguments,
    StatisticsArguments,
    ThinResNetArguments,
    XVectorArguments,
)
from sv_py.registry import Part

ASP = Part("asp", ASPArguments(attention_channels=8))
ASP_CONTEXT = Part("asp", ASPArguments(attention_channels=8, context=True, bottleneck="relu_bn_tanh"))
ASP_TANH = Part("asp", ASPArguments(attention_channels=8, context=True, bottleneck="tanh", floor=1e-7))
MQMHASTP = Part("mqmhastp", MQMHASTPArguments(heads=4, attention_channels=8))
GSP = Part("gsp", StatisticsArguments())
NETVLAD = Part("netvlad", NetVLADArguments(clusters=2, values=6))
GHOSTVLAD = Part("ghostvlad", GhostVLADArguments(clusters=2, values=6, ghosts=1))
THIN = {"stem_channels": 4, "widths": (4, 6), "channels": (8, 12), "blocks": (2, 1), "embedding_dim": 12}
ECAPA_ELSE = {"kept": "first", "padding": "reflect", "summed": False, "pooled_norm": True, "embedding_norm": False}
REDIM = {
    "channels": 4,
    "frequency_strides": (1, 2, 2),
    "time_strides": (1, 2, 2),
    "blocks": (1, 2, 1),
    "expansions": (2.0, 1.5, 1.0),
    "reductions": (10, 20, 10),
}

# Entries of BACKBONES with arguments for 20 features and 12 values of an embedding; a name may come more than once.
SMALL = [
    ("resnet", ResNetArguments(width=4, blocks=(1, 2, 1), embedding_dim=12)),
    ("resnet", ResNetArguments(width=4, blocks=(1, 1), pooling=ASP, embedding_dim=12)),
    ("resnet", ResNetArguments(width=4, blocks=(1, 1), attention="simam", pooling=GSP, embedding_dim=12)),
    ("resnet", ResNetArguments(width=4, blocks=(1, 1), block="bottleneck", attention="fwse", embedding_dim=12)),
    ("ecapa_tdnn", ECAPAArguments(16, scale=4, pooled_channels=24, pooling=ASP_CONTEXT, embedding_dim=12)),
    ("ecapa_tdnn", ECAPAArguments(16, scale=4, pooled_channels=24, pooling=MQMHASTP, embedding_dim=12, **ECAPA_ELSE)),
    ("bilstm", BiLSTMArguments(width=6, hidden_dim=16, head_dim=8)),
    ("thin_resnet", ThinResNetArguments(**THIN, pooling=GHOSTVLAD)),
    ("thin_resnet", ThinResNetArguments(**THIN, pooling=NETVLAD)),
    ("thin_resnet", ThinResNetArguments(**THIN, pooling=Part("tsp", StatisticsArguments()))),
    ("xvector", XVectorArguments(16, 24, embedding_dim=12, head_dim=10)),
    ("campplus", CAMPPlusArguments(4, 12, 4, 8, layers=(2, 3), dilations=(1, 2), segment=10, embedding_dim=12)),
    ("eres2netv2", ERes2NetV2Arguments(width=4, blocks=(1, 1, 2, 1), base_width=48, embedding_dim=12)),
    ("eres2netv2", ERes2NetV2Arguments(width=4, blocks=(1, 1, 1, 1), base_width=32, scale=3, embedding_dim=12)),
    ("redimnet2", ReDimNet2Arguments(**REDIM, pooling=ASP_TANH, embedding_dim=12)),
    ("redimnet2", ReDimNet2Arguments(**REDIM, group_norm=True, output_channels=5, pooling=ASP, embedding_dim=12)),
]

# Stem of a YAML in conf/ -> parameters of its network, as published or as that system's public code has them.
FULL = {
    "resnet18": 4_105_440,
    "resnet34": 6_634_336,
    "resnet50": 11_131_360,
    "resnet101": 15_892_448,
    "resnet152": 19_814_880,
    "resnet221": 23_792_224,
    "resnet293": 28_626_016,
    "resnet34_tsp": 23_897_536,
    "simam_resnet34_asp": 25_213_760,
    "simam_resnet100_asp": 50_232_896,
    "fwse_resnet100_asp": 50_658_078,
    "resnet34_gsp": 21_538_240,
    "resnet100_tsp": 57_666_496,
    "simam_resnet293_asp": 98_937_408,
    "ecapa_tdnn_512": 6_191_360,
    "ecapa_tdnn_1024": 14_657_728,
    "ecapa_tdnn_speechbrain": 20_767_552,
    "bilstm": 10_503_680,  # 13,572,608 with 5,994 speakers of 512 values
    "thin_resnet34_ghostvlad": 7_664_394,
    "xvector": 4_610_524,
    "campplus": 7_176_224,
    "eres2netv2": 17_859_632,
    # What the authors' code counts, less the weight of the first map's sum with itself.
    "redimnet2_b0": 1_114_356,
    "redimnet2_b1": 2_160_336,
    "redimnet2_b2": 3_676_320,
    "redimnet2_b3": 4_179_848,
}
