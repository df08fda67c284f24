"""Bundles that somebody else made or touched: each is refused by a sentence, before anything in it is used."""

import json
import os
import shutil
import zipfile

import pytest
import yaml
from support.bundles import TEXTS, fill
from support.tasks import STAYS

from medspark.bundles.bundle import SCORED_BY, file_digest, load_bundle, save_bundle
from medspark.bundles.manifest import id_of, id_of_files
from medspark.errors import BundleError, TaskError
from medspark.task.load import load_task


@pytest.fixture
def bundle(tmp_path):
    return save_bundle(tmp_path / "bundles", fill)


def sealed(folder, files=None, **changes):
    """A folder's manifest written anew so that digests and id are right, as one who means harm would; its place."""
    manifest = json.loads((folder / "manifest.json").read_text())
    names = sorted(path.name for path in folder.iterdir() if path.name != "manifest.json")
    manifest |= {"files": {name: file_digest(folder / name) for name in names} | (files or {}), **changes}
    if manifest["format"] in (1, 2):
        manifest["bundle_id"] = changes.get("bundle_id", id_of(manifest, SCORED_BY))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder.rename(folder.parent / str(manifest["bundle_id"])) if "bundle_id" not in changes else folder


def refused(folder, says, **options):
    with pytest.raises(BundleError, match=says):
        load_bundle(folder, **options)


def test_a_bundle_is_opened_by_its_folder_or_by_a_link_to_it(bundle, tmp_path):
    (tmp_path / "tonight").symlink_to(bundle)
    assert load_bundle(bundle) == load_bundle(tmp_path / "tonight")
    assert load_bundle(bundle).path == bundle


def test_a_folder_by_another_name_than_its_id_is_refused(bundle, tmp_path):
    refused(bundle.rename(tmp_path / "champion"), "is named 'champion': expected its id")


@pytest.mark.parametrize("name", [*TEXTS, "report.html", "task.yaml", "model.keras"])
def test_every_file_is_in_the_id(bundle, name):
    """Whoever alters a file and its digest in the manifest has another bundle."""
    with (bundle / name).open("ab") as file:
        file.write(b"\n")
    sealed(bundle, bundle_id=bundle.name)
    refused(bundle, f"the id {bundle.name} is not the one of its files")


def test_what_the_manifest_says_is_in_the_id(bundle):
    sealed(bundle, bundle_id=bundle.name, created_at="1999-01-01")
    refused(bundle, "is not the one of its files and its manifest.json")


def test_a_bundle_of_format_1_is_read_by_the_id_that_it_had(bundle, tmp_path):
    """The id of format 1 is of the files that decide a score, and its folder had any name."""
    old = sealed(bundle, format=1)
    files = json.loads((old / "manifest.json").read_text())["files"]
    assert load_bundle(old).bundle_id == old.name == id_of_files(files, SCORED_BY)
    (old / "metrics.json").write_text("{ }")
    refused(old, "metrics.json was altered")
    sealed(old, bundle_id=old.name)
    assert load_bundle(old.rename(tmp_path / "champion")).bundle_id == old.name


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../neighbour.json", "..", "a/b", "a\\..\\b", "C:x", "", "a\0b", "A.json"]
)
@pytest.mark.parametrize("format", [1, 2])
def test_a_name_that_leaves_the_folder_is_refused(bundle, name, format):
    (bundle.parent / "neighbour.json").write_text("{}")
    refused(sealed(bundle, {name: "0" * 64}, format=format), "expected the name of a file in the folder")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 3}, "expected bundle format 1 or 2, received 3"),
        ({"format": True}, "expected bundle format 1 or 2, received True"),
        ({"format": "2"}, "expected bundle format 1 or 2, received '2'"),
        ({"format": [2]}, r"received \[2\]"),
        ({"bundle_id": "../../elsewhere"}, "bundle_id: expected hexadecimal digits"),
        ({"bundle_id": 7}, "bundle_id: expected Input should be a valid string, received 7"),
        ({"files": []}, "files: expected Input should be a valid dictionary"),
        ({"files": {"task.yaml": None}}, "files.task.yaml: expected Input should be a valid string, received None"),
        ({"files": {"task.yaml": "abc"}}, "files.task.yaml: expected hexadecimal digits, received 'abc'"),
        ({"created_at": {}}, "created_at: expected Input should be a valid string"),
    ],
)
def test_a_manifest_of_other_types_is_refused(bundle, changes, says):
    manifest = {**json.loads((bundle / "manifest.json").read_text()), **changes}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    refused(bundle, says)


@pytest.mark.parametrize("text", [b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b" " * (2**24 + 1), b""])
def test_a_manifest_that_is_no_manifest_is_refused(bundle, text):
    (bundle / "manifest.json").write_bytes(text)
    refused(bundle, "manifest.json cannot be read")


@pytest.mark.parametrize("name", ["statistics.json", "report.html", "manifest.json"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_no_file_is_a_link(bundle, tmp_path, name, link):
    shutil.move(bundle / name, tmp_path / "elsewhere")
    link(tmp_path / "elsewhere", bundle / name)
    refused(bundle, "manifest.json that is a file of its own" if name == "manifest.json" else f"{name} is a link")


def test_a_pipe_is_refused_rather_than_waited_for(bundle):
    (bundle / "metrics.json").unlink()
    os.mkfifo(bundle / "metrics.json")
    refused(bundle, "metrics.json is a link, or no file")


def bomb(path):
    """A hundred million zeros in a hundred thousand bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10**8))


def lying_bomb(path):
    """The same, which says that it has ten bytes."""
    bomb(path)
    content = path.read_bytes()
    path.write_bytes(content.replace((10**8).to_bytes(4, "little"), (10).to_bytes(4, "little")))


def zipped(*names, mode=0o100644, text="{}"):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                entry = zipfile.ZipInfo(name)
                entry.external_attr = mode << 16
                archive.writestr(entry, text)

    return write


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("write", "says"),
    [
        (bomb, "model.keras would grow to 100,000,000 bytes"),
        (lying_bomb, "model.keras (is no archive|has a file of another size)"),
        (zipped("../../outside"), "a name that leads out of it"),
        (zipped("/etc/cron.d/x"), "a name that leads out of it"),
        (zipped("a\\..\\..\\b"), "a name that leads out of it"),
        (zipped("config.json", mode=0o120777, text="/etc/passwd"), "has a link"),
        (zipped("config.json", "config.json"), "two files of one name"),
        (zipped(*map(str, range(10_001))), "in 10,001 files"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "no archive as Keras writes it"),
    ],
)
def test_an_archive_that_would_grow_or_lead_out_is_refused_before_it_is_unpacked(bundle, write, says):
    write(bundle / "model.keras")
    refused(sealed(bundle), says)


@pytest.mark.parametrize("kind", ["zip", "gztar", "tar", "xztar"])
def test_no_other_file_is_an_archive(bundle, tmp_path, kind):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "zeros").write_bytes(bytes(10**6))
    made = shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "in")
    shutil.copy(made, bundle / "metrics.json")
    refused(sealed(bundle), "metrics.json is an archive")


def test_an_expected_id_is_asked_for_before_any_other_file_is_read(bundle):
    assert load_bundle(bundle, expect=bundle.name).bundle_id == bundle.name
    (bundle / "statistics.json").write_text("altered")  # which nobody gets to see
    refused(bundle, f"expected the bundle {'0' * 16}, received {bundle.name}. Nothing of it was read", expect="0" * 16)
    with pytest.raises(TaskError, match="expected a bundle's id of 16 hexadecimal digits, received 'latest'"):
        load_bundle(bundle, expect="latest")


def test_variables_are_filled_in_a_users_task_and_never_in_a_bundles(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    source = {**STAYS["source"], "path": "${SECRET_TOKEN}/${UNSET}"}
    bundle = save_bundle(tmp_path, lambda folder: fill(folder, source=source))
    assert load_bundle(bundle).task.source.path == "${SECRET_TOKEN}/${UNSET}"
    monkeypatch.setenv("UNSET", "x")
    assert load_task(bundle / "task.yaml").source.path == "s3cret/x"


def test_a_bundles_task_brings_its_mapping_along(tmp_path):
    """A name, or a path, of a mapping would be looked for outside the bundle."""
    events = {"task": "relapse", "title": "Relapse", "source": {"kind": "events", "mapping": "omop", "path": "x"}}

    def write(folder):
        facts = fill(folder)
        (folder / "task.yaml").write_text(yaml.safe_dump(events))
        return facts

    with pytest.raises(TaskError, match="expected the mapping in the bundle's task itself"):
        load_bundle(save_bundle(tmp_path, write))


def test_a_file_that_is_altered_after_the_bundle_was_opened_is_not_used(bundle):
    opened = load_bundle(bundle)
    (bundle / "calibration.json").write_text('{"method": "none"}')
    with pytest.raises(BundleError, match=r"calibration.json was altered since the bundle was opened"):
        opened.read_json("calibration.json")
