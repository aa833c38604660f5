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
# *What did the authors do, and what did they find? ({cite:t}`li2018attention`)*

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
# ## Answer

# %% tags=["remove-input"]
in_brief.answer()

# %% [markdown]
# ## The task
#
# The network hears a short utterance and names one of four emotions: neutral, happy, sad or angry.
# The utterances are the improvised dialogues of IEMOCAP {cite:p}`busso2008iemocap`, by ten actors
# in five pairs. Each actor is held out in turn, and a network is trained on the other nine.
#
# ## The input
#
# The network sees overlapping stretches of two seconds as spectrograms. An utterance's scores are
# the mean over its stretches ({doc}`01_input_spectrograms`).
#
# ## The network
#
# Some patterns of speech are tall in a spectrogram, such as the burst of a plosive; others are wide,
# such as a steady harmonic. The first layer has filters for either kind side by side. Four
# ordinary layers follow. {numref}`fig-network` and {numref}`tab-settings` show the settings that
# this book trains with.

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "fig-network", "caption": "The network: what each layer's filters see, and the number, height and width of the maps that come out of it. Maps with more rows have higher boxes, though not in proportion. The channels of Conv2 to Conv4 and the places of max-pooling are not in the paper's text ({doc}`10_left_open`)."}, "image": {"alt": "Seven boxes from left to right, joined by arrows: input, Conv1 with filters of two shapes, Conv2 to Conv5, and the four scores; the boxes get lower from Conv2 on."}}
plots.network(in_brief.layers(experiment.network))

# %% [markdown]
# ## The idea
#
# The last layer gives a map for each of 80 features. Global average pooling (GAP) treats every
# moment and every frequency alike. *Attention pooling*, made for recognising actions in pictures
# {cite:p}`girdhar2017attentional`, learns further maps: one for each emotion, which says where it
# shows itself, and one for all, which says where to look. It is the cheap relative of *bilinear
# pooling* {cite:p}`lin2015bilinear`, which weighs all pairs of features ({doc}`03_pooling`).
#
# ## The search for filter shapes
#
# To choose the two shapes, the authors trained networks of a first layer alone. One side of its
# filters stays at 2 bins or frames. The other grows: the height up to 100 bins, the width up to 80
# frames.
#
# ## The training

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "tab-settings", "caption": "Settings of the paper's experiment, as this book reads them."}}
common.table(in_brief.settings(experiment))

# %% [markdown]
# ## What they found

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "tab-published", "caption": "Published WA and UA (%), in the order of UA, of earlier systems as the paper cites them and of its own."}}
common.table(in_brief.published_accuracies(), decimals=2)

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "tab-claims", "caption": "The paper's claims that this book tests, in our words, with their sections."}}
common.table(in_brief.claimed())

# %% [markdown]
# {doc}`00_does_it_replicate` says what becomes of these claims. Others are not tested here:
#
# - Too general for a test: that filter shape plays an important role (Section 4), and that angry
#   shows itself in short stretches (3.2), beyond its fall with width.
# - In need of the earlier systems: that both accuracies significantly exceed earlier ones (1), and
#   that those were tested in the same way (3.3).
# - Without an experiment in the paper: that bilinear pooling loses by over-fitting (3.3), that the
#   µ-law makes training more stable than a logarithm would (2.1), that fully connected layers on
#   the maps would have too many parameters (2.4), that filters of two shapes side by side over-fit
#   less than large ones, that happy is learned better by higher layers (both 3.2), that the accuracy
#   of GAP proves the design of the network, that filters chosen by emotion would do better (both
#   3.3), and that attention pooling models saliency in time and in frequency (4).

# %% tags=["remove-input"]
common.provenance(preset="paper")
