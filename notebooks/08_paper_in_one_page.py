# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The paper in one page
#
# *{cite:t}`li2018attention`. What did they do, and what did they find?*

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
from repro.config import preset as get_preset
from repro.report import plots
from repro.report.pages import common, in_brief

plots.use_style()
experiment = get_preset("paper")

# %% [markdown]
# ## The task
#
# A short utterance goes in, one of four emotions comes out: neutral, happy, sad or angry. The
# utterances are the improvised dialogues of IEMOCAP {cite:p}`busso2008iemocap`, ten actors in five
# pairs. In turn each actor is held out, and a network is trained on the other nine.
#
# ## The input
#
# The network sees an utterance as overlapping stretches of two seconds, each a spectrogram of 400
# frequencies by 200 frames. An utterance's scores are the mean over its stretches.
# {doc}`01_input_spectrograms` follows one utterance all the way.
#
# ## The network
#
# Speech has patterns that are tall in a spectrogram, such as the onset of a vowel over many
# frequencies, and patterns that are wide, such as a pitch that glides. The first layer has filters
# for either kind side by side. Four ordinary layers follow. {numref}`fig-network` is drawn from the
# settings that this book trains with, and {numref}`tab-settings` lists the others.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-network", "caption": "The network: what each layer's filters see, and the number, height and width of the maps that come out of it. The more rows a map has, the higher its box, though not in proportion."}, "image": {"alt": "Seven boxes from left to right, joined by arrows: input, Conv1 with filters of two shapes, Conv2 to Conv5, and the four scores; the boxes get lower from Conv2 on."}}
plots.network(in_brief.layers(experiment.network))
# %% [markdown]
# ## The idea
#
# The last layer gives a map for each of 80 features. Averaging it treats every moment and every
# frequency alike (global average pooling, GAP). *Attention pooling*, which was made for recognising actions in pictures
# {cite:p}`girdhar2017attentional`, learns further maps: one for each emotion, which says where
# it shows itself, and one for all, which says where to look. It is the cheap relative of
# *bilinear pooling* {cite:p}`lin2015bilinear`, which weighs all pairs of features.
# {doc}`03_pooling` derives the one from the other.
#
# ## The search for filter shapes
#
# To choose the two shapes, they trained a network of a first layer alone, whose filters are 2 bins
# or 2 frames on one side, and let the other side grow: the height up to 100 bins, the width up to 80
# frames.
#
# ## The training

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-settings", "caption": "Settings of the paper's experiment, as this book reads them."}}
common.table(in_brief.settings(experiment))

# %% [markdown]
# ## What they found
#
# Two accuracies are reported. WA is the share of all utterances that are recognised, UA the mean over
# the emotions.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-published", "caption": "Published WA and UA (%), in the order of UA: earlier systems as the paper cites them, and its own."}}
common.table(in_brief.published_accuracies(), decimals=2)

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-claims", "caption": "The paper's claims that this book tests, in our words, with their sections."}}
common.table(in_brief.claimed())

# %% [markdown]
# What becomes of these claims stands on the first page, {doc}`00_does_it_replicate`. Others are not
# tested here. Some are too general for a test: that filter shape plays an important role (Section 4),
# and that angry shows itself in short stretches (3.2), beyond its fall with width. That both accuracies
# significantly exceed earlier ones (1) would need the earlier systems' answers. For others the
# paper shows no experiment: that bilinear pooling loses by over-fitting (3.3), that the µ-law
# makes training more stable than a logarithm would (2.1), that fully connected layers on the maps
# would have too many parameters (2.4), that filters chosen by emotion would do better (3.3), and
# that attention pooling keeps what max-pooling would lose (abstract).

# %% tags=["remove-input"]
common.provenance("none", "paper")
