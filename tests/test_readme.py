"""README and guides cannot lie: task files are fine, commands exist, files are there, and the site holds together."""

import ast
import inspect
import re

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from support.places import ROOT
from typer.testing import CliRunner

import medspark
from medspark.cli.demo import demo
from medspark.cli.main import app
from medspark.task.load import check_task, load_task
from medspark.task.monitoring import Monitoring
from medspark.train.distil import SOFT
from medspark.train.networks.student import MOST_WEIGHTS

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"), key=lambda page: (page.name != "tables.md", page.name != "warehouses.md"))
GUIDES = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
"""Tables first, then warehouses."""


def test_the_readme_is_short_and_its_task_is_fine(tmp_path, monkeypatch):
    assert len(README.splitlines()) <= 150
    monkeypatch.setenv("HOSPITAL", "x")
    (tmp_path / "task.yaml").write_text(re.search(r"```yaml\n(.*?)```", README, re.S)[1])
    assert load_task(tmp_path / "task.yaml").features.columns() == ["age", "creatinine", "diagnosis"]


def test_the_site_is_built_without_a_broken_link_and_fetches_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    build(config)
    pages = list((tmp_path / "site").rglob("*.html"))
    assert {"index.html", "first-steps.html", "table-tasks.html", "errors.html"} <= {page.name for page in pages}
    for page in pages:
        fetched = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^ \">]+)", page.read_text("utf-8"))
        assert fetched == [], page.name


@pytest.mark.parametrize("at", [0, 1], ids=["table", "events"])
def test_its_task_files_are_fine(at, tmp_path, monkeypatch):
    for name in ("HOSPITAL", "WAREHOUSE"):
        monkeypatch.setenv(name, "x")
    path = tmp_path / "task.yaml"
    path.write_text(whole_tasks()[at])
    assert load_task(path).task == ("readmission", "gi-bleed")[at]


def test_its_table_of_a_database_is_a_source_of_its_task():
    table = yaml.safe_load(whole_tasks()[0].replace("${HOSPITAL}", "x"))
    task, problems = check_task({**table, **yaml.safe_load(block_with("schema: reporting"))})
    assert (problems, task.source.place) == ([], "jdbc:postgresql://localhost:5432/hospital stays")


def test_its_database_is_a_source_of_events(tmp_path, monkeypatch):
    monkeypatch.setenv("WAREHOUSE", "x")
    raw = {**yaml.safe_load(whole_tasks()[1]), **yaml.safe_load(block_with("schema: cdm"))}
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert load_task(path).source.database.schema_ == "cdm"


def test_its_gene_sequences_are_features_of_a_table():
    (genes,) = (yaml.safe_load(block) for block in blocks() if "  genes:\n" in block)
    table = yaml.safe_load(whole_tasks()[0].replace("${HOSPITAL}", "x"))
    task, problems = check_task({**table, **genes, "columns": {**table["columns"], **genes["columns"]}})
    assert problems == []
    assert {name: gene.length for name, gene in task.features.genes.items()} == {"promoter": 600, "genome": 2000}


def test_its_limits_are_those_of_a_table():
    table = yaml.safe_load(whole_tasks()[0].replace("${HOSPITAL}", "x"))
    task, problems = check_task({**table, **yaml.safe_load(block_with("limits:\n"))})
    assert (problems, task.limits.missing_at_most) == ([], {"creatinine": 0.4})


def test_its_networks_of_histories_are_fine(tmp_path, monkeypatch):
    monkeypatch.setenv("WAREHOUSE", "x")
    raw = {**yaml.safe_load(whole_tasks()[1]), **yaml.safe_load(block_with("network: {sequence"))}
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(raw))
    task = load_task(path)
    assert (task.network.sequence, task.training.pretrain.epochs) == ("transformer", 3)


def test_its_monitoring_says_the_defaults():
    (block,) = (yaml.safe_load(found) for found in blocks() if found.startswith("monitoring:"))
    table = yaml.safe_load(blocks()[0].replace("${HOSPITAL}", "x"))
    task, problems = check_task({**table, **block})
    assert problems == []
    assert task.monitoring == Monitoring()


def test_its_student_is_as_large_and_learns_what_it_says(monkeypatch):
    monkeypatch.setenv("HOSPITAL", "x")
    table, block = yaml.safe_load(whole_tasks()[0].replace("${HOSPITAL}", "x")), block_with("student: small")
    task, problems = check_task({**table, **yaml.safe_load(block)})
    assert (problems, task.network.student) == ([], "small")
    for size, weights in MOST_WEIGHTS.items():
        assert re.search(rf"{size}\b.*\b{weights:,}", block)
    said = GUIDES.partition(block)[2]
    assert f"({1 - SOFT:.1f})" in said
    assert f"({SOFT:.1f})" in said


def block_with(text):
    (found,) = (block for block in blocks() if text in block)
    return found


def test_its_model_card_is_a_section_of_its_table():
    table = yaml.safe_load(blocks()[0].replace("${HOSPITAL}", "x"))
    task, problems = check_task({**table, **yaml.safe_load(block_with("card:"))})
    assert problems == []
    assert task.card.role == "informs"


def test_its_images_are_a_column_and_a_feature_of_its_table(tmp_path, monkeypatch):
    for name in ("HOSPITAL", "IMAGES"):
        monkeypatch.setenv(name, "x")
    raw, (images,) = yaml.safe_load(whole_tasks()[0]), (yaml.safe_load(one) for one in blocks() if "type: image" in one)
    raw["columns"] |= images["columns"]
    raw["features"] |= images["features"]
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump({**raw, "network": images["network"]}, sort_keys=False))
    assert load_task(path).image_shapes() == {"xray": (128, 128, 1)}


def whole_tasks():
    return [block for block in blocks() if block.startswith("task:")]


def blocks():
    return re.findall(r"```yaml\n(.*?)```", GUIDES, re.S)


def test_its_table_of_commands_is_the_commands():
    named = set(re.findall(r"^\| `medspark ([\w-]+)", GUIDES, re.M))
    assert named == {command.callback.__name__.replace("_", "-") for command in app.registered_commands}


def test_every_option_it_names_exists():
    text = README + GUIDES
    shell = re.findall(r"^medspark ([a-z][\w-]*)([^#\n]*)", "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)), re.M)
    assert len(shell) >= 10
    for command, rest in {*re.findall(r"`medspark ([a-z][\w-]*)([^`\n]*)`", text), *shell}:
        shown = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).invoke(app, [command, "--help"]).output
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in shown, f"medspark {command} {option}"


def test_every_make_target_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z]+)", README + GUIDES, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in PAGES)])
def test_every_file_that_a_page_names_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"\b((?:conf|jobs|medspark|benchmarks|docs)/[\w./-]*\w)", text)
    assert named or page.startswith("docs/")
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_rooms_that_contributing_names_are_the_rooms():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", text, re.M)
    named = {name.strip("/") for row in rows for name in re.findall(r"`([\w./]+)`", " ".join(row))}
    there = {path.name for path in (ROOT / "medspark").iterdir() if not path.name.startswith(("_", "py"))}
    assert there <= named


def test_its_notebook_calls_what_medspark_exports_with_arguments_that_fit():
    (block,) = re.findall(r"```python\n(.*?)```", GUIDES, re.S)
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    assert len(calls) == 8
    for call in calls:
        assert call.func.attr in medspark.__all__
        inspect.signature(getattr(medspark, call.func.attr)).bind(*call.args)


def test_what_it_says_of_the_demo_is_what_the_demo_does():
    said = re.search(r"make demo +# a synthetic hospital of ([\d,]+) patients", README)
    (task,) = re.findall(r"\((conf/tasks/[\w-]+\.yaml)\), which the demo runs", README)
    asked = inspect.signature(demo).parameters
    assert f"--patients {said[1].replace(',', '')}" in (ROOT / "Makefile").read_text()
    assert asked["patients"].default == int(said[1].replace(",", ""))
    assert str(asked["task"].default) == task
