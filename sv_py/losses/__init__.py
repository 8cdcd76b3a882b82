"""Losses: embeddings (B, E) and speaker numbers (B,) -> the loss to minimise.

A loss is an ``nn.Module`` built as ``LOSSES.build(name, arguments, embedding_dim=E, num_classes=N)``. Its
``forward(embeddings, labels)`` returns the mean loss of the batch and the logits (B, N) without margin, cut off from
the graph, from which the training accuracy is read. A loss with a margin has it as the attribute ``margin``, which a
schedule may set at any step.
"""

from sv_py.losses.arguments import AAMArguments
from sv_py.registry import Table

LOSSES = Table("loss", {"aam_softmax": (AAMArguments, "sv_py.losses.margin:AAMSoftmax")})
