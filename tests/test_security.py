"""What somebody tries who may put files into the landing zone and words into commands, but must not read or run more.

docs/security.md names each of these tests beside the door that it tries.
"""

import gzip
import time
from pathlib import Path

import pytest

from lake.delta import Lake
from operators.campaign import campaign_of
from operators.ingest import ingest
from operators.scheduling.plans import ingest_commands
from operators.toy_melt import ToyMeltRequest, generate
from operators.validate import validate
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.simulation import SimulationRequest

ROOT = Path(__file__).parents[1]
SECRET = "not-to-be-told"
MARKUP = "<img src=x onerror=alert(1)>"
ENTITIES = """<!DOCTYPE modeling [
<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY secret SYSTEM "file://{secret}">]>
<modeling>"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"), landing=str(tmp_path / "landing"))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"password = {SECRET}\n")
    return path


def _vasprun(folder: Path) -> Path:
    request = ToyMeltRequest(composition="Al50Cu50", n_atoms=8, n_frames=3, source_format="vasprun")
    return generate(folder, request) / "vasprun.xml"


def _everything_written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_entities_of_xml_are_no_files_and_do_not_grow(settings: Settings, secret: Path, tmp_path: Path) -> None:
    path = _vasprun(tmp_path / "landing" / "run")
    honest = path.read_text()
    text = honest.replace("<modeling>", ENTITIES.format(secret=secret), 1)
    text = text.replace("<incar>", '<incar>\n  <i type="string" name="SYSTEM">&secret;&c;</i>', 1)
    assert len(text) > len(honest) + 200
    path.write_text(text)
    [run] = ingest(settings, [str(path)], workers=1)["runs"]  # type: ignore[misc]
    assert run["n_frames"] == 3
    stored = _everything_written(tmp_path / "lake")
    assert SECRET.encode() not in stored
    assert b"aaaaaaaaaa" * 8 not in stored


def test_a_link_to_another_file_tells_nothing_of_it(settings: Settings, secret: Path, tmp_path: Path) -> None:
    (tmp_path / "landing" / "run").mkdir(parents=True)
    (tmp_path / "landing" / "run" / "OUTCAR").symlink_to(secret)
    told = ingest(settings, [settings.landing], workers=1)
    assert told["runs"][0]["reason"]  # type: ignore[index]
    assert SECRET not in str(told)
    assert SECRET.encode() not in _everything_written(tmp_path / "lake")


def test_a_file_that_unpacks_to_very_much_is_refused_early(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    bomb = tmp_path / "landing" / "OUTCAR.gz"
    with gzip.open(bomb, "wb") as packed:
        for _ in range(64):
            packed.write(bytes(1 << 20))
    began = time.process_time()
    [run] = ingest(settings, [str(bomb)], workers=1)["runs"]  # type: ignore[misc]
    assert (run["run_id"], bool(run["reason"])) == (None, True)
    assert time.process_time() - began < 5
    assert bomb.stat().st_size < 1 << 18


@pytest.mark.parametrize("name", ["--lake=/elsewhere", "-h", "{{ 7 * 7 }}", "$(HOME)", "`id`", "a;b", "a\nb"])
def test_names_in_the_landing_zone_are_paths_and_no_options(
    name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in settings.environment.items():
        monkeypatch.setenv(variable, value)
    assert ingest_commands([name]) == [["ingest", f"{settings.landing}/{name}"]]


def test_names_of_files_are_text_in_pages(settings: Settings, tmp_path: Path) -> None:
    path = _vasprun(tmp_path / "landing" / MARKUP)
    ingest(settings, [str(path)], workers=1)
    pages = Path(str(validate(settings, [])["data_docs"])).parent
    written = _everything_written(pages).decode(errors="replace")
    assert "onerror=alert(1)&gt;" in written.replace("<wbr>", "")
    assert MARKUP not in written.replace("<wbr>", "")


@pytest.mark.parametrize("label", ["Al100\nshell touch /tmp/x", "Al100 ; x", "${HOME}", "../../Al100", "Al100\x00"])
def test_a_composition_carries_no_command_into_an_input_of_lammps(label: str) -> None:
    with pytest.raises(MeltlakeError, match="is not a composition"):
        SimulationRequest(protocol="nvt", composition=label)


@pytest.mark.parametrize("name", ["../outside", "a b", "--seed", "x\\ny"])
def test_a_recipe_s_name_is_no_path_and_no_option(name: str, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(f'[recipe."{name}"]\nbased_on = "DP-2"\n')
    with pytest.raises(MeltlakeError, match="name"):
        campaign_of(settings)


def test_nothing_that_is_read_may_run() -> None:
    sources = [path.read_text() for folder in ("lake", "operators") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    doors = ("allow_pickle=True", "weights_only=False", "pickle.load", "yaml.load(", "shell=True", "os.system(")
    assert [door for door in doors for text in sources if door in text] == []


def test_a_lake_is_at_no_web_address() -> None:
    with pytest.raises(MeltlakeError, match="needed a folder on this machine or s3"):
        Lake("http://169.254.169.254/latest").rows("runs")
