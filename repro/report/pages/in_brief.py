"""The page "The paper in one page": its settings, its accuracies and its claims as tables."""

import pandas as pd
import torch
from IPython.display import Markdown

from repro import paper
from repro.config import Experiment, Network
from repro.evidence import metrics
from repro.layers import conv_norm_relu
from repro.model import build_network


def settings(experiment: Experiment) -> pd.DataFrame:
    """Return the settings of training and test, as a reader would say them."""
    training, protocol = experiment.training, experiment.protocol
    cuts = ", ".join(str(epoch) for epoch in training.milestones)
    rows = {
        "folds": f"{paper.FOLDS}: one {protocol.folds} held out in each",
        "segments": f"{paper.SEGMENT_SECONDS:g} s, {paper.TRAIN_HOP_SECONDS:g} s apart in training "
        f"and {paper.TEST_HOP_SECONDS:g} s in test",
        "loss": "cross-entropy",
        "optimiser": f"SGD, Nesterov momentum {training.momentum:g}, "
        f"weight decay {training.weight_decay:g}",
        "batch": f"{training.batch_size} segments",
        "epochs": f"{training.epochs}, tested after the {protocol.epoch}",
        "learning rate": f"{training.learning_rate:g}, times {paper.RATE_CUT:g} at epochs {cuts}",
        "class weights": training.class_weights,
    }
    return pd.DataFrame(rows.items(), columns=["setting", "value"])


def published_accuracies() -> pd.DataFrame:
    """Return the published accuracies of Table 1, the lowest UA first."""
    rows = [("earlier work", p.name, p.wa, p.ua) for p in paper.TABLE_1_EARLIER]
    rows += [("the paper", p.name, p.wa, p.ua) for p in paper.TABLE_1.values()]
    return pd.DataFrame(rows, columns=["source", "model", "WA", "UA"]).sort_values("UA")


def claimed() -> pd.DataFrame:
    """Return the claims of the paper that can be tested."""
    return pd.DataFrame([(c.section, c.text) for c in paper.CLAIMS], columns=["section", "claim"])


def answer() -> Markdown:
    """Return what the paper reports of attention pooling."""
    ours = paper.TABLE_1["attention"]
    wa, ua = (metrics.paper_difference("attention", "gap", s) for s in metrics.ACCURACIES)
    return Markdown(
        "The authors teach a small network to tell four emotions in two seconds of speech. Its "
        "first layer reads spectrograms through filters of two shapes, and attention weighs its "
        f"last map. On IEMOCAP they report {ours.wa:.2f}% WA (the share of all utterances that are "
        f"recognised) and {ours.ua:.2f}% UA (its mean over the emotions). That is {wa:.2f} and "
        f"{ua:.2f} points more than with a plain average, and more than any earlier system in "
        "their Table 1."
    )


def layers(settings: Network) -> pd.DataFrame:
    """Return a row for each layer of a network: what it is, the maps that come out, its weights."""
    with torch.device("meta"):  # sizes without computing any map
        built = build_network(settings).eval()
        x = built.stems(torch.empty(1, 1, paper.BINS, paper.FRAMES))
        shapes = "\n".join(f"{h}×{w}" for h, w in settings.stems)
        rows = [
            ("input", "spectrogram", 1, paper.BINS, paper.FRAMES, 0),
            ("Conv1", shapes, *x.shape[1:], weights(built.stems)),
        ]
        trunk = built.trunk
        kernel = f"{paper.TRUNK_KERNEL}×{paper.TRUNK_KERNEL}"
        triples = zip(trunk.convs, trunk.norms, trunk.pooled, strict=True)
        for number, (conv, norm, pooled) in enumerate(triples, 2):
            x = conv_norm_relu(x, conv, norm, pooled)  # type: ignore[arg-type]
            pooling = f"\nmax {paper.POOL_WINDOW}×{paper.POOL_WINDOW}" * pooled
            rows.append((f"Conv{number}", kernel + pooling, *x.shape[1:], weights(conv, norm)))
    last = "average" if settings.pooling == "gap" else settings.pooling
    classes = len(paper.EMOTIONS)
    rows.append(("scores", f"{last}\npooling", classes, 1, 1, weights(built.pooling)))
    return pd.DataFrame(rows, columns=["layer", "filters", "maps", "rows", "frames", "parameters"])


def weights(*modules: torch.nn.Module) -> int:
    """Return how many parameters modules learn; Conv1's biases are frozen, see `model.Stems`."""
    return sum(p.numel() for m in modules for p in m.parameters() if p.requires_grad)
