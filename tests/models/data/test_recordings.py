"""Recordings in the formats of trackers: times, names, separators, poses and lost faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.contract.arkit import ARKIT_NAMES
from models.data.recordings import RecordingError, load_recording
from models.geometry.camera import quaternion_to_matrix
from tests.models.bounds import within_bounds
from tests.models.data.recording_files import jaw, read, table

REAL = Path(__file__).parents[4] / "shared" / "data" / "streams" / "llf_alex_rom_3.csv"


@pytest.mark.parametrize(
    ("times", "last_s", "fps"),
    [
        # 60 rows a second.
        ([f"10:00:{i // 60:02}:{i % 60:02}.125" for i in range(150)], 149 / 60, 60),
        # 30 rows a second with frame numbers up to 59.
        ([f"10:00:{i // 30:02}:{i % 30 * 2:02}" for i in range(90)], 89 / 30, 30),
        # The same, shorter than a second.
        ([f"10:00:00:{i * 2:02}" for i in range(11)], 10 / 30, 30),
        ([f"00:00:{i // 25:02}:{i % 25:02}" for i in range(100)], 99 / 25, 25),
        # A gap of three seconds.
        (["00:00:00:00", "00:00:00:01", "00:00:00:02", "00:00:03:02"], 3 + 2 / 30, 30),
        # Across midnight.
        (["23:59:59:28", "23:59:59:29", "00:00:00:00"], 2 / 30, 30),
        # Drop-frame: after 00:00:59;29 comes 00:01:00;02.
        (["00:00:59;28", "00:00:59;29", "00:01:00;02", "00:01:00;03"], 3 * 1001 / 30000, 29.97),
        (["00:00:01.000", "00:00:01.050", "00:00:01.100"], 0.1, 20),
        (["0.0", "0.05", "0.1"], 0.1, 20),
        (["0", "50", "100"], 0.1, 20),
        # Drop-frame at 59.94, and at 29.97 by a program that writes no `;`.
        (["00:00:59;59", "00:01:00;04", "00:01:00;05", "00:01:01;00"], 57 * 1.001 / 60, 59.94),
        (["00:00:59:28", "00:00:59:29", "00:01:00:02", "00:01:00:03"], 3 * 1001 / 30000, 29.97),
        # Drop-frame across midnight.
        (["23:59:59;28", "23:59:59;29", "00:00:00;00", "00:00:00;01"], 3 * 1001 / 30000, 29.97),
        # A dot before the frames; milliseconds in their place; 240 rows a second.
        ([f"00:00:{i // 25:02}.{i % 25:02}" for i in range(100)], 99 / 25, 25),
        ([f"00:00:{i // 20:02}:{i % 20 * 50:03}" for i in range(80)], 79 / 20, 20),
        ([f"00:00:{i // 240:02}:{i % 240:03}" for i in range(800)], 799 / 240, 240),
        # Hundredths of a second.
        ([f"00:00:{i // 20:02}.{i % 20 * 5:02}" for i in range(80)], 79 / 20, 20),
        # Microseconds and nanoseconds, dates.
        (["1700000000000000", "1700000000020000", "1700000000040000"], 0.04, 50),
        (["1700000000000000000", "1700000000020000000"], 0.02, 50),
        (["2024-05-01T10:00:00.25Z", "2024-05-01T10:00:00.50Z"], 0.25, 4),
        (["2024/05/01 10:00:00.25", "2024/05/01 10:00:00.50"], 0.25, 4),
        # Dates that a spreadsheet has turned into days.
        ([f"{45000 + i / 20 / 86400:.12f}" for i in range(9)], 8 / 20, 20),
    ],
)
def test_rows_are_timed_by_the_file(
    tmp_path: Path, times: list[str], last_s: float, fps: float
) -> None:
    recording = read(tmp_path, table(times))
    assert recording.times_s[-1] == pytest.approx(last_s, abs=1e-4)
    assert recording.fps == pytest.approx(fps, rel=1e-3)
    assert recording.notes == ()


@pytest.mark.parametrize(
    "times",
    [["x", "y", "z"], ["00:00:97", "00:00:98", "00:00:99"], ["1"] * 3, ["1", "1.0001", "1.0002"]],
)
def test_rows_without_usable_times_are_30_a_second_with_a_note(
    tmp_path: Path, times: list[str]
) -> None:
    recording = read(tmp_path, table(times))
    assert recording.times_s == pytest.approx([0, 1 / 30, 2 / 30])
    assert any("no usable times" in note for note in recording.notes)


def test_a_given_rate_replaces_the_times(tmp_path: Path) -> None:
    assert read(tmp_path, table(["0", "1", "2"]), fps=50).times_s == pytest.approx([0, 0.02, 0.04])


def test_a_late_row_is_skipped_with_a_note(tmp_path: Path) -> None:
    recording = read(tmp_path, table(["0.0", "0.1", "0.05", "0.2"]))
    assert recording.times_s == pytest.approx([0, 0.1, 0.2])
    assert "skipped 1 rows that are no later than one before" in recording.notes


@pytest.mark.parametrize(
    ("rows", "last_s", "note"),
    [
        # Every row occurs twice.
        ("0.0,0.1\n0.0,0.1\n0.1,0.2\n0.1,0.2\n", 0.1, "skipped 2 rows that are no later"),
        # 60 rows a second with times rounded to 30 a second.
        ("0.0,0.1\n0.0,0.2\n0.1,0.3\n0.1,0.4\n", 0.15, "spread 2 rows that have the time"),
        # A row without a time, inside and at the end.
        ("0.0,0.1\n,0.2\n0.2,0.3\n", 0.2, "1 rows without a time lie between"),
        ("0.0,0.1\n0.1,0.2\n,0.3\n", 0.2, "1 rows without a time lie between"),
    ],
)
def test_rows_that_share_or_lack_a_time_are_spaced_evenly(
    tmp_path: Path, rows: str, last_s: float, note: str
) -> None:
    recording = read(tmp_path, f"Time,JawOpen\n{rows}")
    assert recording.times_s[-1] == pytest.approx(last_s)
    assert len(recording.notes) == 1
    assert note in recording.notes[0]


def test_a_second_time_column_is_used_if_the_first_is_constant(tmp_path: Path) -> None:
    text = "Timecode,Timestamp_ms,JawOpen\n00:00:00:00,0,0.1\n00:00:00:00,1,0.2\n"
    recording = read(tmp_path, text)
    assert recording.times_s == pytest.approx([0, 0.001])
    assert recording.notes == ("not used: Timecode",)


@pytest.mark.parametrize("fps", [60, 25.0])
def test_frames_without_times_have_the_rate_of_the_file(tmp_path: Path, fps: float) -> None:
    document = {"frameRate": fps, "frames": [{"jawOpen": 0.1}, {"jawOpen": 0.2}]}
    assert read(tmp_path, json.dumps(document)).times_s == pytest.approx([0, 1 / fps])


def test_frames_in_the_servers_format_keep_the_head_pose(tmp_path: Path) -> None:
    head = {"rotation": [0, 0.6, 0, 0.8], "translation": [0.1, 0, 0]}
    lines = [{"seq": 0, "head": head, "expression": {"EyeBlink_L": 0.5}, "captured_at_ms": 0},
             {"seq": 1, "expression": {"EyeBlink_L": 0.5}, "captured_at_ms": 20}]  # fmt: skip
    recording = read(tmp_path, "\n".join(map(json.dumps, lines)))
    assert recording.rotations is not None
    assert recording.rotations == pytest.approx(np.array([head["rotation"]] * 2))
    assert recording.translation(1) == pytest.approx(head["translation"])
    assert recording.fps == pytest.approx(50)
    assert recording.notes == ("1 frames without a pose of the head keep the one before",)


def test_unused_members_of_json_are_reported(tmp_path: Path) -> None:
    face = {"categories": [{"categoryName": "jawOpen", "score": 0.5}]}
    frame = {"frame": 3, "faceBlendshapes": [face, face], "headYaw": 0.2, "eyes": {"x": 1}}
    recording = read(tmp_path, json.dumps([frame]))
    assert recording.rotations is not None
    assert recording.notes == (
        "not used: eyes",
        "1 frames have several faces: the first is used",
    )


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\nx;JawOpen\r\n7;0,25\r\n".encode("utf-16"),
        '"sep=|"\nx|"JawOpen"\n7|0.25\n',
        "JawOpen,x\r0.25,7\r",
        "# A take, of 2024\nSubject: me\n\nJawOpen,x,\n0.25,7,\n",
        "JawOpen,x\n25%,7\n",
        "JawOpen (%),x\n25,7\n",
        'JawOpen,x\n"0,25",7\n',
        "JawOpen,x\n0.25,7\n".encode("utf-32"),
        "A25_Jaw_Open,eyeBlink.L\n0.25,0\n",
        '{"seq": 0, "expression": {"jawOpen": 0.25}}',
        json.dumps({"data": {"frames": [{"jawOpen": 0.25}, None, {"weights": []}]}}),
        "jawOpen,other\n0.25,7\n".encode("utf-8-sig"),
        "JawOpen;x\n0,25;7\n",
        "jaw_open\tx\n0,25\t7\n",
        "blendShapes.JawOpen,x\n.25,7\n".encode("utf-16"),
        "BlendShapes_jawOpen,x\n25e-2,7\n".encode("utf-16-le"),
        "\n\nJAWOPEN,x\n0.25,7\n\n",
        json.dumps({"names": ["jawOpen"], "frames": [{"weights": [0.25], "time": 0.1}]}),
        json.dumps([{"faceBlendshapes": [{"categories": [{"categoryName": "_neutral", "score": 1},
                    {"categoryName": "jawOpen", "score": 0.25}]}]}]),
        json.dumps({"results": [{"face_blendshapes": [[{"category_name": "jawOpen",
                    "score": 0.25}]], "timestamp_ms": 5}]}),
        json.dumps([[{"categoryName": "jawOpen", "score": 0.25}]]),
        json.dumps([{"result": {"faceBlendshapes": [{"categories": [
            {"categoryName": "jawOpen", "score": 0.25}]}]}}]),
        json.dumps({"exportFps": 60, "facsNames": ["jawLeft", "jawOpen"],
                    "weightMat": [[0, 0.25], [1, 0.25]]}),
        json.dumps({"fps": 30, "scene": {"actors": [{"face": {"jawOpen": 25, "jawLeft": 100}}]}}),
        json.dumps({"animationValues": {"jawOpen": 0.25}}),
        json.dumps({"FaceFound": True, "BlendShapes": [{"k": "JawOpen", "v": 0.25}]}),
        json.dumps({"data": {"parameterValues": [{"id": "JawOpen", "value": 0.25}]}}),
        json.dumps({"frames": {"0": {"jawOpen": 0.25}, "1": {"jawOpen": 0.25}}}),
        json.dumps({"frame_0": {"jawOpen": 0.25}, "frame_1": {"jawOpen": 0.25}, "note": ""}),
        json.dumps({"jawOpen": [0.25, 0.25], "jawLeft": [0, 1]}),
        json.dumps({"jawOpen": {"0": 0.25, "1": 0.25}}),
        json.dumps({"fps": 30, "curves": {"jawOpen": [0.25, 0.25]}}),
        json.dumps({"blendShapes": [{"name": "jawOpen", "values": [0.25, 0.25]}]}),
        json.dumps([{"jawOpen": "0.25"}, {"jawOpen": "0,25"}]),
        "name,weight,jawOpen\nme,0.5,0.25\nme,0.5,0.25\n",
        "frame,category_name,score\n0,jawOpen,0.25\n0,jawLeft,1\n1,jawOpen,0.25\n",
        json.dumps([{"time": 1.5, "blendShapes": {"JawOpen": 0.25}}]),
        '{"seq": 0, "expression": {"jawOpen": 0.25}}\n{"seq": 1, "expression": {"jawOpen": 0.25}}',
    ],
)  # fmt: skip
def test_layouts_encodings_and_spellings_are_read(tmp_path: Path, content: str | bytes) -> None:
    assert set(jaw(read(tmp_path, content))) == {0.25}


def test_percentages_are_scaled_with_a_note(tmp_path: Path) -> None:
    recording = read(tmp_path, "JawOpen,MouthLeft\n100,3\n25,0\n")
    assert jaw(recording) == [1.0, 0.25]
    assert "coefficients reach 100: read as percent" in recording.notes


def test_decimal_commas_of_quoted_times_are_read(tmp_path: Path) -> None:
    recording = read(tmp_path, 'Time,JawOpen\n"0,0","0,1"\n"0,2","0,2"\n')
    assert recording.times_s == pytest.approx([0, 0.2])


def test_negative_coefficients_are_reported(tmp_path: Path) -> None:
    recording = read(tmp_path, "JawOpen,MouthLeft\n-0.5,0.5\n0.25,-0.01\n")
    assert jaw(recording) == [0, 0.25]
    assert "coefficients reach -0.5: negative ones are read as 0" in recording.notes


def test_rows_without_a_face_are_skipped_and_listed(tmp_path: Path) -> None:
    text = "Timecode,BlendShapeCount,JawOpen\n0.0,52,0.5\n0.1,0\n0.2,0,\n0.3,52,0.25\n"
    recording = read(tmp_path, text)
    assert jaw(recording) == [0.5, 0.25]
    assert recording.times_s == pytest.approx([0, 0.3])
    assert "skipped 2 rows without a face: 3, 4" in recording.notes


def test_unused_columns_are_reported(tmp_path: Path) -> None:
    assert read(tmp_path, "jawOpen,_neutral,Mood\n0.5,1,3\n").notes[0] == "not used: Mood"


@pytest.mark.parametrize(
    ("column", "turned"),
    [
        # Direction of the nose (+Z), or of the top of the head (+Y) for the roll; +X is face-left.
        ("HeadYaw", ([0, 0, 1], [-np.sin(0.3), 0, np.cos(0.3)])),
        ("HeadPitch", ([0, 0, 1], [0, -np.sin(0.3), np.cos(0.3)])),
        ("HeadRoll", ([0, 1, 0], [np.sin(0.3), np.cos(0.3), 0])),
    ],
)
@pytest.mark.parametrize("unit", [1, 180 / np.pi])
def test_head_angles_rotate_the_head(
    tmp_path: Path, column: str, turned: tuple[list[float], list[float]], unit: float
) -> None:
    recording = read(tmp_path, f"jawOpen,{column}\n0,{0.3 * unit}\n")
    assert recording.rotations is not None
    matrix = quaternion_to_matrix(recording.rotations[0])
    assert matrix @ turned[0] == pytest.approx(turned[1], abs=1e-5)


def test_a_head_that_never_moves_has_no_pose(tmp_path: Path) -> None:
    assert read(tmp_path, "jawOpen,HeadYaw\n0,0\n0,0\n").rotations is None


@pytest.mark.parametrize("flat", [True, False])
def test_matrices_of_mediapipe_rotate_the_head(tmp_path: Path, flat: bool) -> None:
    turn = np.eye(4)
    turn[:3, :3] = quaternion_to_matrix(np.array([0.1, 0.2, 0.3, 0.9], np.float32)) * 1.1
    turn[:3, 3] = [1, 2, -40]
    matrix = {"data": turn.T.ravel().tolist()} if flat else turn.tolist()
    frame = {"blendshapes": {"jawOpen": 0.5}, "facialTransformationMatrixes": [matrix]}
    recording = read(tmp_path, json.dumps([frame]))
    assert recording.rotations is not None
    got = quaternion_to_matrix(recording.rotations[0])
    assert got == pytest.approx(turn[:3, :3] / 1.1, abs=1e-5)


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data")
def test_gaze_from_eye_angles_equals_gaze_from_coefficients(tmp_path: Path) -> None:
    lines = [line.split(",") for line in REAL.read_text().splitlines()]
    kept = [i for i, name in enumerate(lines[0]) if "Look" not in name]
    text = "\n".join(",".join(line[i] for i in kept) for line in lines)
    by_angles, whole = read(tmp_path, text), load_recording(REAL, ARKIT_NAMES)
    for side in ("Left", "Right"):
        for plus, minus in (("LookUp", "LookDown"), ("LookOut", "LookIn")):
            columns = [ARKIT_NAMES.index(f"eye{look}{side}") for look in (plus, minus)]
            a, b = (r.expression[:, columns] @ [1.0, -1.0] for r in (by_angles, whole))
            assert np.corrcoef(a, b)[0, 1] > 0.99
            assert np.abs(a - b).max() < 0.2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("Time,JawOpen\n0,0.5\n1,wide\n", "row 3, JawOpen: expected a number, got 'wide'"),
        ("JawOpen,MouthLeft\n0.5,0\n0.5\n", "row 3 ends before MouthLeft"),
        ("JawOpen,MouthLeft\n0,5,0,25\n", "row 2 has 4 cells under 2 names"),
        ("info,phone\nbs,jawOpen\nk,0,0.1,0.2\n", "row 3 has 4 cells under 2 names"),
        (b"glTF\x02\0\0\0", "it is a GLB file: expected a table (CSV) or JSON"),
        (b"PK\3\4\0\0", "it is a zip file, such as a spreadsheet's: expected a table (CSV)"),
        ("x0,y0\n1,2\n", "no expression of this head, such as browDownLeft; names in it: x0, y0"),
        ("JawOpen\n0_5\n", "row 2, JawOpen: expected a number, got '0_5'"),
        ("JawOpen\ninf\n", "row 2, JawOpen: inf is not finite"),
        ("Jaw\0.JawOpen\ninf\n", "row 2, Jaw?.JawOpen: inf is not finite"),
        ("JawOpen\n0.5\n4000\n", "row 3: expected coefficients 0..1 or percent, got 4000"),
        ("BlendShapeCount,JawOpen\n0,\n", "no rows with a face"),
        ("[" * 100_000, "nested too deeply"),
        ('{"frames": 3}', "expected a list of frames"),
        ('{"jawOpen": [0, 1], "jawLeft": [0]}', "as many values for each name, got 2 of jawOpen"),
        ('{"jawOpen": 0}\n{"jaw', "line 2 is no JSON: Unterminated string"),
        ("name,score\njawOpen\n", "row 2 has 1 cells of 2"),
        ("name,score\njawOpen,x\n", "frame 1, jawOpen: expected a finite number, got 'x'"),
        ('[{"jawOpen": 1e999}]', "expected a finite number"),
        ('[{"jawOpen": ' + "9" * 400 + "}]", "expected a finite number"),
        (b"\xff\xfe\x00\xd8", "no utf-16 text"),
        (b"JawOpen\n\xff\n", "no utf-8-sig text"),
    ],
)
def test_a_broken_recording_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, complaint: str
) -> None:
    with pytest.raises(RecordingError, match="not a readable recording") as caught:
        read(tmp_path, content)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) - len(str(tmp_path)) < 300


JSON_WORDS = [
    f'"{word}"' for word in ("frames", "weights", "names", "blendshapes", "matrix", "time")
]
PIECES = st.sampled_from(
    [*"\n,;\t\"'{}[]:.%-0195", "jawOpen", "Timecode", "HeadYaw", "nan", "1e999", "00:00:00;02",
     "null", "\ufeff", "\0", *JSON_WORDS]
)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" + "[]," * 6_000_000 + "0]", "at most 1000000 objects and 6000000 values: split it"),
        ("{}\n" * 3_000_000, "at most 1000000 objects and 6000000 values: split it"),
        ('["' + 'a","' * 7_000_000 + '"]', "at most 1000000 objects and 6000000 values: split it"),
        ("[" * 500_000, "nested too deeply"),
        ('[{"expression": {"jawOpen": ' + "1" * 10**6 + "}}]", "Exceeds the limit"),
        ('[{"expression": {"jawOpen": ' + "1" * 4000 + "}}]", "."),
        ('{"a": 1}\n{"jawOpen": ' + "1" * 10**6 + "}", "Exceeds the limit"),
        ("JawOpen" + ",x" * 5_000_000 + "\n0.5\n", "at most 1000 columns"),
        ("JawOpen\n" + "0\n" * 6_000_000, "at most 300000 rows"),
        ("{}\n" * 400_000, "at most 300000 frames"),
        ("name,score\n" + "a,0\n" * 6_000_000, "at most 1000000 rows"),
        ("JawOpen\r" + "0\r" * 6_000_000, "at most 300000 rows"),
        ("{" + "\n" * 60_000_000, "at most 300000 frames"),
        ("\U0001f600" + "x" * 70_000_000, "at most 64 MB of text that is not all ASCII"),
        ('["' + 'a","' * 400_000 + '"]', "at most 300000 frames"),
        (json.dumps([{f"x{i}": 0.5 for i in range(2000)}]), "at most 1000 names of coefficients"),
        ("JawOpen,x\n" + "0" + ",0" * 15_000_000, "at most 14000000 cells"),
        ('JawOpen\n"' + "a" * 20_000_000, "field larger than field limit"),
        ("JawOpen\n" + "1" * 400 + "\n", "not finite"),
    ],
)
def test_a_recording_that_needs_much_memory_or_time_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "r").write_text(content)
    with within_bounds(), pytest.raises(RecordingError, match=message) as error:
        load_recording(tmp_path / "r", ARKIT_NAMES)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < len(str(tmp_path)) + 200


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PIECES, max_size=60), st.booleans())
def test_any_text_is_read_or_refused(tmp_path: Path, pieces: list[str], headed: bool) -> None:
    text = ("Timecode,jawOpen,HeadYaw\n" if headed else "") + "".join(pieces)
    try:
        recording = read(tmp_path, text)
    except RecordingError:
        return
    assert np.isfinite(recording.expression).all()
    assert (np.diff(recording.times_s) > 0).all()
