from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from ground.errors import DataError, StudyError
from tasks.imaging_genetics import digital
from tasks.imaging_genetics.genotypes import panel, whole
from tasks.imaging_genetics.options import Options, parse
from tasks.imaging_genetics.patients import Pairs
from tasks.imaging_genetics.pictures import overview, standing_out
from tasks.imaging_genetics.reading import read
from tasks.imaging_genetics.task import TASK, learner
from tasks.learners.contract import Visit, add_up
from tasks.learners.model import evaluate, load_vector
from tasks.patients import PooledPatients
from tasks.registry import find
from tasks.study import Study, load
from tasks.study import parse as parse_study

EXAMPLE = Path(__file__).parents[3] / "examples" / "imaging-genetics.toml"
VALUE = "87654321"


def study(options: str = "", rounds: int = 7, more: str = "") -> Study:
    return parse_study(
        f'name = "s"\ntask = "imaging-genetics"\nrounds = {rounds}\n{more}\n[options]\n{options}\n'
    )


def patients(stratum: str = "north", count: int = 12, seed: int = 1) -> Pairs:
    return digital.simulate(digital.recipes(stratum, count, seed))


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    return TASK.export(digital.recipes("north", 12, 1), "north", tmp_path)


def as_table(hospital: Path, names: list[str], kind: str = ".csv") -> Path:
    """The phenotypes as a table with these patients' names."""
    values = np.load(hospital / "phenotypes.npy")
    (hospital / "phenotypes.npy").unlink()
    file = hospital / f"phenotypes{kind}"
    header = ["patient", *(f"v{number}" for number in range(values.shape[1]))]
    if kind == ".parquet":
        import polars

        columns = dict(zip(header[1:], values.T, strict=True))
        polars.DataFrame({"patient": names, **columns}).write_parquet(file)
        return file
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([name, *row] for name, row in zip(names, values.tolist(), strict=True))
    return file


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_a_table_is_joined_by_name_whatever_its_order(hospital: Path, kind: str) -> None:
    everybody = np.arange(12)
    straight = read(hospital, Options()).batch(everybody, torch.Generator())
    names = [f"p{number + 1:05d}" for number in range(12)]
    order = np.random.default_rng(1).permutation(12)
    values = np.load(hospital / "phenotypes.npy")[order]
    np.save(hospital / "phenotypes.npy", values)
    as_table(hospital, [names[place] for place in order], kind)
    joined = read(hospital, Options())
    for mine, theirs in zip(joined.batch(everybody, torch.Generator()), straight, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_whoever_has_one_and_not_the_other_is_set_aside(hospital: Path) -> None:
    as_table(hospital, [f"p{number + 3:05d}" for number in range(12)])
    found = read(hospital, Options())
    assert len(found) == 10
    assert dict(found.set_aside) == {"no phenotypes": 2, "no genotypes": 2}


@pytest.mark.parametrize(
    ("replaced", "by", "said"),
    [
        ("patient,", "person,", "no column called patient"),
        ("p00002,", "p00001,", "a name of its own"),
        ("p00002,", f"p00002,{VALUE}x,", "cannot be read|not a number"),
        ("p00002", VALUE, None),
    ],
)
def test_a_wrong_table_is_refused_without_a_value(
    hospital: Path, replaced: str, by: str, said: str | None
) -> None:
    file = as_table(hospital, [f"p{number + 1:05d}" for number in range(12)])
    text = file.read_text().replace(replaced, by, 1)
    file.write_text(text)
    if said is None:
        assert len(read(hospital, Options())) == 11
        return
    with pytest.raises(DataError, match=said) as caught:
        read(hospital, Options())
    assert VALUE not in str(caught.value)


def test_tables_of_another_size_or_another_panel_are_refused(hospital: Path) -> None:
    agreed = panel(digital.variants())
    assert len(read(hospital, Options(panel=agreed))) == 12
    with pytest.raises(DataError, match="count other alleles"):
        read(hospital, Options(panel="0" * 64))
    with pytest.raises(DataError, match="2000 variants where the study agreed on 1999"):
        read(hospital, Options(variants=1999))
    with pytest.raises(DataError, match="96 imaging phenotypes where"):
        read(hospital, Options(phenotypes=95))


def test_a_patient_is_what_the_recipe_says_whoever_else_is_made(hospital: Path) -> None:
    alone = digital.simulate(digital.recipes("north", 12, 1)[4:5])
    np.testing.assert_array_equal(whole(alone.genetics)[0], whole(read(hospital, Options()).genetics)[4])


def test_options_are_checked_by_name() -> None:
    with pytest.raises(StudyError, match="did you mean components"):
        parse('{"component": 3}')
    with pytest.raises(StudyError, match="at most 4"):
        parse('{"components": 5, "phenotypes": 4}')
    with pytest.raises(StudyError, match="synthetic"):
        learner(TASK, study(more="[synthetic]\nfill = false"))


def test_the_gene_is_found_and_test_patients_are_predicted() -> None:
    terms = study("components = 1\npermutations = 19\nsplits = 1")
    task = find(terms.task, 1, terms.options)
    groups = [patients(name, 120, seed) for seed, name in enumerate(digital.STRATA)]
    parts = [task.split(each) for each in groups]
    learns = learner(task, terms)
    state = learns.begin()
    for _ in range(terms.rounds):
        published = learns.publish(state)
        visits = [
            Visit(published, group.subset(training), {}, None, 4, None)  # type: ignore[arg-type]
            for group, (training, _) in zip(groups, parts, strict=True)
        ]
        state = learns.combine(state, add_up([learns.contribute(visit)[0].vector for visit in visits]))
    model = task.model()
    load_vector(model, state.model)
    top = np.argsort(-np.abs(model.genetics[0].detach().numpy()))[:5]
    assert (top // digital.LINKED == digital.GENE).all()
    assert model.p_value[0].item() == pytest.approx(1 / 20)
    test = PooledPatients([group.subset(tested) for group, (_, tested) in zip(groups, parts, strict=True)])
    metrics = evaluate(task, state.model, test)
    assert metrics["correlation"] > 0.2
    assert metrics["explained"] > -0.1
    shown = dict(zip(digital.STRATA, groups, strict=True))
    with torch.no_grad():
        pictures = overview(model.eval(), shown)
    assert len(pictures) == 2
    assert "by permutation" in pictures[0].title
    assert all(each.png.startswith(b"\x89PNG") for each in pictures)


def test_a_model_that_learned_nothing_predicts_nothing_and_draws_nothing() -> None:
    model = TASK.model()
    load_vector(model, np.zeros(sum(p.numel() for p in model.parameters()), dtype=np.float32))
    some = patients()
    genotypes, phenotypes = some.batch(np.arange(12), torch.Generator())
    with torch.no_grad():
        assert np.isnan(TASK.metrics(model(genotypes), phenotypes)["correlation"])
        assert overview(model, {"north": some}) == []


def test_missing_cells_count_as_the_mean() -> None:
    model = TASK.model()
    genotypes, _ = patients().batch(np.arange(12), torch.Generator())
    mean = genotypes.clone()
    genotypes[:, 5], mean[:, 5] = -127, 1  # the model as it starts is centred at 1
    torch.testing.assert_close(model(genotypes), model(mean))


def test_weights_stand_out_in_robust_deviations() -> None:
    weights = np.random.default_rng(1).standard_normal(100_000).astype(np.float32) * 1e-3
    weights[7] = 0.02
    height = standing_out(weights)
    assert height[7] == pytest.approx(20, rel=0.05)
    assert not standing_out(np.zeros(3, dtype=np.float32)).any()


def test_the_example_runs_as_written() -> None:
    terms = load(EXAMPLE)
    assert learner(TASK, terms).private
    assert not learner(TASK, terms.without_privacy()).private
    assert find(terms.task, 1, terms.options).headline == "correlation"
