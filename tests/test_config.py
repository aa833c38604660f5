import json
from ast import literal_eval
from dataclasses import FrozenInstanceError, asdict, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from repro import config, paper, results
from repro.config import FIELDS, PRESETS, READINGS, Experiment
from repro.errors import ReproError

# Another value for each field that is not a reading.
OTHER = """
network.pooling='gap' network.stems=((4,4),) network.stem_channels=4 network.trunk=(8,)
network.stride=(2,2) training.epochs=3 training.batch_size=8 training.learning_rate=0.01
training.momentum=0.5 training.weight_decay=0.0 training.max_segments=100 protocol.max_folds=2
"""


def table(text: str) -> dict[str, Any]:
    """The values of fields, as `FIELD=VALUE` gives each."""
    pairs = (word.partition("=") for word in text.split())
    return {field: literal_eval(value) for field, _, value in pairs}


def changed(experiment: Experiment, field: str, value: Any) -> Experiment:
    section, leaf = field.split(".")
    part = replace(getattr(experiment, section), **{leaf: value})
    return replace(experiment, **{section: part})


def other_values(field: str) -> list[Any]:
    readings = [value for r in READINGS if r.field == field for value, _ in r.alternatives]
    return readings or [table(OTHER)[field]]


# Readings ----------------------------------------------------------------------------------------

# The value that carries the default's meaning, field by field.
DEFAULTS = table("""
front_end.window='symmetric' front_end.magnitude='magnitude' front_end.scale='segment'
front_end.frames='centred' front_end.bins='0-399' front_end.short='pad' front_end.tail='drop'
network.padding='same' network.pools=(2,3) network.attention_average='sum'
network.attention_softmax=True network.bilinear_norm='l2-sqrt' network.attention_bn=False
training.milestones=(21,31,41) training.class_weights='none'
protocol.labels='hap' protocol.score='softmax' protocol.average='pooled' protocol.epoch='last'
protocol.folds='speaker'
""")


def test_each_reading_is_listed_once() -> None:
    assert [reading.field for reading in READINGS] == list(DEFAULTS)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.field)
def test_a_reading_is_a_field_whose_alternatives_are_accepted(reading: config.Reading) -> None:
    assert reading.field in FIELDS
    base = Experiment()
    assert attrgetter(reading.field)(base) == DEFAULTS[reading.field]
    assert reading.alternatives and reading.default and reading.says and reading.section
    for value, meaning in reading.alternatives:
        overridden = base.override(f"{reading.field}={value}")
        assert meaning
        assert attrgetter(reading.field)(overridden) == value
        assert overridden == changed(base, reading.field, value)
        assert overridden.key != base.key


# Key ---------------------------------------------------------------------------------------------


PUBLISHED = sorted((Path(__file__).parents[1] / "results").glob("*/*.jsonl"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_published_results_keep_their_keys(path: Path) -> None:
    experiments = {record["key"]: record["experiment"] for record in results.read_lines(path)}
    for key, experiment in experiments.items():
        if experiment["network"]["stems"]:  # of the baselines only the folds count
            assert config.from_dict(experiment).key == key


def test_a_field_that_came_later_enters_the_key_where_it_is_set() -> None:
    base = PRESETS["paper"]
    assert base.key == "2a88c8613a9c"
    other = base.override("network.attention_softmax=False")
    assert other.key != base.key
    assert config.from_dict(json.loads(json.dumps(asdict(other)))) == other


@pytest.mark.parametrize("field", FIELDS)
def test_any_changed_field_changes_the_key(field: str) -> None:
    base, others = Experiment(), other_values(field)
    assert attrgetter(field)(base) not in others
    keys = {changed(base, field, value).key for value in others}
    assert len(keys | {base.key}) == 1 + len(others)


@pytest.mark.parametrize("field", FIELDS)
def test_a_setting_that_is_spelled_is_the_same_setting(field: str) -> None:
    for value in other_values(field):
        of_preset = config.spelled(f"coarse, {config.assignment(field, value)}")
        assert config.preset(of_preset) == changed(PRESETS["coarse"], field, value)
        assert config.spelled(of_preset) == of_preset


def test_one_setting_has_one_name() -> None:
    name = "coarse, front_end.scale=segment-max, network.stride=1,1"
    for typed in (
        "coarse,network.stride=1,1,front_end.scale=segment-max",
        "coarse, network.stride = (1, 1), front_end.scale='segment-max'",
        "coarse, network.stride=2,2, front_end.scale=segment-max, network.stride=[1,1]",
    ):
        assert config.spelled(typed) == name
    assert config.shortest("coarse, network.stride=1,1") == "paper"
    assert config.shortest("coarse, network.stride=4,4") == "coarse"
    both = "coarse, front_end.scale=segment-max, network.stride=1,1"
    assert config.shortest(both) == "paper, scale=segment-max"
    assert config.shortest("paper, network.stride=2,2") == "paper, stride=2,2"  # none is shorter
    for name in (*config.PRESETS, "coarse, network.x=1"):
        assert config.shortest(name) == name
    assert config.spelled("coarse, network.x=1") == "coarse, network.x=1"
    for path in PUBLISHED:
        presets = {record["preset"] for record in results.read_lines(path)}
        assert {config.spelled(preset) for preset in presets} == presets


@settings(deadline=None, max_examples=50)
@given(st.sets(st.sampled_from(FIELDS)))
def test_json_gives_the_same_experiment_back(changes: set[str]) -> None:
    experiment = Experiment()
    for field in changes:
        experiment = changed(experiment, field, other_values(field)[0])
    again = config.from_dict(json.loads(json.dumps(asdict(experiment))))
    assert again == experiment and again.key == experiment.key


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        Experiment().training.epochs = 1  # type: ignore[misc]


# Override ----------------------------------------------------------------------------------------


TEXTS: dict[str, dict[str, Any]] = {
    "training.epochs": {"3": 3},
    " training.epochs ": {" 3 ": 3},
    "training.max_segments": {"None": None, "7": 7},
    "training.milestones": {"()": (), "(2,)": (2,), "[2, 3]": (2, 3)},
    "training.learning_rate": {"1e-3": 1e-3},
    "network.attention_bn": {"true": True, "False": False},
    "network.stems": {"((3, 4), (5, 6))": ((3, 4), (5, 6))},
    "network.trunk": {"()": ()},
    "protocol.labels": {"hap+exc": "hap+exc", "'hap+exc'": "hap+exc"},
    "front_end.bins": {"1-400": "1-400"},
}


@pytest.mark.parametrize("field", TEXTS)
def test_override_reads_text(field: str) -> None:
    for text, value in TEXTS[field].items():
        experiment, name = Experiment().override(f"{field}={text}"), field.strip()
        assert attrgetter(name)(experiment) == value
        assert type(attrgetter(name)(experiment)) is type(value)
        assert experiment == changed(Experiment(), name, value)


NO_FIELD = """training.epochs training.epoch=3 training=3 key=3 key.x=3 epochs=3 =3
training.epochs.x=3 training.__class__=3 override.x=1"""


UNFIT = """
training.epochs=0 training.epochs=-1 training.epochs=2.5 training.epochs=True
training.epochs=many training.epochs= training.learning_rate=-0.1
training.learning_rate=nan training.learning_rate=1e999
training.weight_decay=4e38 training.learning_rate=(1,)
training.milestones=21 training.milestones=(0,) training.max_segments=0
network.pooling=3 network.stride=(4,) network.stems=() network.attention_bn=1
front_end.scale=0 protocol.max_folds=none
"""


UNFIT_WITH_SPACES = (
    *("training.milestones=(1, 'x')", "network.stride=(4, 4, 4)", "network.stems=(10, 2)"),
    *("training.epochs={[]: 1}", "training.epochs=" + "(" * 500),
)
REFUSED = {"no such field.*training.epochs": ["", *NO_FIELD.split()]}
REFUSED |= {"takes": [*UNFIT.split(), *UNFIT_WITH_SPACES]}


@pytest.mark.parametrize(
    ("assignment", "said"), [(each, said) for said, them in REFUSED.items() for each in them]
)
def test_override_refuses_what_is_no_field_or_does_not_fit(assignment: str, said: str) -> None:
    with pytest.raises(ReproError, match=said) as error:
        Experiment().override(assignment)
    assert str(error.value).startswith(f"--set {assignment}: ")
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(deadline=None, max_examples=200)
@given(st.sampled_from(FIELDS), st.text(max_size=12))
@example("training.epochs", "{[]:1}")
@example("training.epochs", "\0")
def test_override_takes_any_text_or_explains(field: str, text: str) -> None:
    try:
        experiment = Experiment().override(f"{field}={text}")
    except ReproError:
        return
    assert config.from_dict(json.loads(json.dumps(asdict(experiment)))) == experiment


def test_a_field_takes_a_value_as_it_is() -> None:
    changed = Experiment().with_field("network.trunk", (8,)).with_field("training.momentum", 1)
    said = Experiment().override("network.trunk=(8,)").override("training.momentum=1.0")
    assert changed.network.trunk == (8,) and changed.key == said.key
    for name, value in (("network.trunk", "(8,)"), ("network.stems", ()), ("training.epochs", "3")):
        with pytest.raises(ValueError, match=f"{name} takes"):
            Experiment().with_field(name, value)


@pytest.mark.parametrize("wrong", [[], 4, {"more": {}}, {"network": None}, {"network": {}}])
def test_a_file_that_holds_no_experiment_is_refused(wrong: Any) -> None:
    data = asdict(Experiment()) | wrong if isinstance(wrong, dict) else wrong
    with pytest.raises(ValueError, match=r"not the (parts|fields) of an experiment"):
        config.from_dict(data)
    less = asdict(Experiment())
    del less["protocol"]
    with pytest.raises(ValueError, match="not the parts"):
        config.from_dict(less)


# Presets -----------------------------------------------------------------------------------------


def test_the_paper_preset_is_the_paper() -> None:
    experiment = config.preset("paper")
    assert experiment == Experiment()
    training = experiment.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (50, 64, 0.05)
    assert (training.momentum, training.weight_decay) == (0.9, 1e-4)
    assert training.max_segments is None and experiment.protocol.max_folds is None
    assert experiment.network.stems == ((10, 2), (2, 8))
    assert experiment.network.stride == (1, 1)


def test_quick_is_the_paper_with_fewer_epochs() -> None:
    quick, full = config.preset("quick"), config.preset("paper")
    training = replace(quick.training, epochs=50, milestones=paper.MILESTONES)
    assert replace(quick, training=training) == full
    assert quick.training.epochs == 12


def test_presets_have_keys_of_their_own_and_small_ones_keep_to_their_limits() -> None:
    assert set(PRESETS) == {"smoke", "demo", "coarse", "quick", "paper"}
    assert len({experiment.key for experiment in PRESETS.values()}) == len(PRESETS)
    assert all(config.preset(name) is PRESETS[name] for name in PRESETS)
    smoke, demo = PRESETS["smoke"], PRESETS["demo"]
    limits = (smoke.protocol.max_folds, smoke.training.epochs, smoke.training.max_segments)
    assert limits == (2, 2, 48) and demo.protocol.max_folds == 3


def test_a_preset_takes_changes_behind_its_name() -> None:
    changed = config.preset("coarse, network.stride=(1, 1), front_end.scale=segment-max")
    by_hand = PRESETS["coarse"].override("network.stride=1,1")
    assert changed == by_hand.override("front_end.scale=segment-max")
    pools = "network.pools=(2, 3, 4)"
    assert config.preset(f"coarse,{pools}, training.epochs = 3") == (
        PRESETS["coarse"].override(pools).override("training.epochs=3")
    )
    with pytest.raises(ReproError, match="smoke, demo, coarse, quick, paper"):
        config.preset("fast")


@pytest.mark.parametrize(
    "change", ["network.strides=1,1", "epochs=3", "Training.epochs=3", "epochs"]
)
def test_a_change_of_no_field_is_not_taken_for_a_part_of_the_name(change: str) -> None:
    with pytest.raises(ReproError, match=f"^--set {change}: no such field"):
        config.preset(f"coarse, {change}, training.batch_size=8")


def test_scaled_milestones() -> None:
    scaled = {epochs: config.scaled_milestones(epochs) for epochs in (12, 50, 100)}
    assert scaled == {12: (6, 8, 11), 50: (21, 31, 41), 100: (41, 61, 81)}
