import pytest
import torch
from torch import Tensor

from s2v.face_regions import MOUTH_LOSS_BOX, ContextRegion, cut_box
from s2v.models.frame_decoder import Speech2VideoGenerator, cells
from s2v.models.pose_code import MEMORIES, PoseCode


def code(num_speakers: int = 3, **settings: float) -> PoseCode:
    torch.manual_seed(0)
    return PoseCode(4, num_speakers, **{"dim": 2, "noise": 0.0} | settings)  # type: ignore[arg-type]


def frames(clips: int, seed: int = 0) -> Tensor:
    return torch.rand(clips, 2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_codes_have_unit_variance_over_the_batch_and_their_noise() -> None:
    speaker = torch.arange(3).repeat(200)
    real, nu = frames(600), torch.zeros(600, 4)
    plain = code()(real, nu, speaker)
    assert plain.shape == (600, 2, 2)
    torch.testing.assert_close(plain.flatten(0, 1).std(0, correction=0), torch.ones(2), atol=1e-3, rtol=0)
    noisy = code(noise=0.5)(real, nu, speaker)
    assert (noisy - plain).std().item() == pytest.approx(0.5, abs=0.03)


def test_the_mouth_is_not_seen_and_the_rest_is() -> None:
    """Else a code would tell how far it is open, and speech would not have to."""
    real, nu, speaker = frames(6), torch.zeros(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    expected = code()(real, nu, speaker)
    other = real.clone()
    # whole pixels of the 32 x 32 picture that lie in the box
    cut_box(other, MOUTH_LOSS_BOX)[..., 2:-2, 2:-2] = 0.7
    torch.testing.assert_close(code()(other, nu, speaker), expected, atol=1e-5, rtol=0)
    other[..., :8, :8] = 0.7
    assert (code()(other, nu, speaker) - expected).abs().max() > 0.1


@pytest.mark.parametrize(("shown", "away"), [(1, 0), (2, 1), (3, 1), (5, 2), (16, 8)])
def test_a_frames_code_is_read_from_another_frame_of_its_clip(
    shown: int, away: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own would tell of cheeks and chin, and with them of the mouth."""
    real = torch.rand(2, shown, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    changed = real.clone()
    changed[1, 0] = -changed[1, 0]

    def read(seen: Tensor) -> Tensor:
        made = code().eval()
        monkeypatch.setattr(made, "_follow", lambda *_: None)  # mean faces that stay
        return made(seen, torch.zeros(2, 4), torch.tensor([0, 1]))

    before, after = read(real), read(changed)
    differ = (after - before).abs().amax(-1) > 1e-3
    assert differ.nonzero().tolist() == [[1, away]]


def test_who_is_seen_does_not_matter_only_how_a_frame_differs_from_the_persons_mean() -> None:
    poses = frames(4) / 4
    faces = frames(2, seed=1)[:, :1] / 2
    real = torch.cat([faces[:1] + poses, faces[1:] + poses])
    speaker = torch.tensor([0] * 4 + [1] * 4)
    codes = code()(real, torch.zeros(8, 4), speaker)
    torch.testing.assert_close(codes[:4], codes[4:], atol=1e-4, rtol=0)


def test_memory_holds_the_means_and_the_latest_codes_of_each_speaker() -> None:
    memory, real, nu = code(), frames(5), torch.randn(5, 4)
    codes = memory(real, nu, torch.tensor([0, 2, 2, 0, 2]))
    assert memory.seen.tolist() == [2, 0, 3]
    torch.testing.assert_close(memory.nus[0], (nu[0] + nu[3]) / 2)
    torch.testing.assert_close(memory.nus[2], (nu[1] + nu[2] + nu[4]) / 3)
    # the first frame's code is what the second one is drawn with
    torch.testing.assert_close(memory.codes[2, :3], codes[[1, 2, 4], 1])
    assert memory.nus[1].abs().max() == memory.codes[1].abs().max() == 0
    later = torch.randn(40, 4)
    for nus in later.split(4):
        latest = memory(frames(4), nus, torch.zeros(4, dtype=torch.long))
    assert memory.seen.tolist() == [42, 0, 3]
    at = (42 - 4) % MEMORIES  # the ring
    torch.testing.assert_close(memory.codes[0, at : at + 4], latest[:, 1])
    # a mean of the last some thirty, each weighing less the older it is
    assert (memory.nus[0] - later.mean(0)).norm() < (later[:4].mean(0) - later.mean(0)).norm()


def test_what_is_remembered_follows_the_latest_clips() -> None:
    """Once it rests on enough clips, a new one moves a mean nu by a tenth and a mean frame by a twenty-fifth."""
    memory, black = code().eval(), torch.full((4, 1, 3, 32, 32), -1.0)
    nobody = torch.zeros(4, dtype=torch.long)
    for _ in range(15):
        memory(black, torch.zeros(4, 4), nobody)
    memory(-black[:1], torch.ones(1, 4), nobody[:1])
    torch.testing.assert_close(memory.nus[0], torch.full((4,), 0.1))
    assert memory.faces[0, 0, 0, 0].item() == pytest.approx(-1 + 2 * 0.04)
    memory(-black[:2], torch.ones(2, 4), nobody[:2])  # as one after the other would
    torch.testing.assert_close(memory.nus[0], torch.full((4,), 1 - 0.9**3))
    assert memory.faces[0, 0, 0, 0].item() == pytest.approx(1 - 2 * 0.96**3)


def test_more_clips_of_a_speaker_than_places_keep_the_first_of_them() -> None:
    memory = code()
    codes = memory(frames(20), torch.zeros(20, 4), torch.zeros(20, dtype=torch.long))
    torch.testing.assert_close(memory.codes[0], codes[:MEMORIES, 1])


def test_processes_that_gather_remember_what_one_would() -> None:
    real, nu, speaker = frames(6), torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 0, 1])
    of_all: list[Tensor] = []

    def record(values: Tensor) -> Tensor:
        of_all.append(values)
        return values

    alone = code().eval()  # running statistics: a code does not depend on who shares the batch
    alone(real, nu, speaker, record)
    answers = iter(of_all)

    def gather(own: Tensor) -> Tensor:
        every = next(answers)
        torch.testing.assert_close(every[:3], own, atol=1e-5, rtol=0)
        return every

    # mean pictures, and so codes, are those of all clips
    first = code().eval()
    first(real[:3], nu[:3], speaker[:3], gather)
    assert alone.seen.tolist() == [3, 2, 1]
    for name, value in first.named_buffers():
        torch.testing.assert_close(value, dict(alone.named_buffers())[name], msg=name)


def test_the_nearest_voices_middle_code_is_recalled() -> None:
    memory = code(dim=1)
    assert memory.recalled(torch.zeros(2, 4))[1].tolist() == [[0], [0]]  # nothing seen yet
    memory.seen[:] = torch.tensor([3, 0, 40])
    memory.nus[0], memory.nus[2] = 1.0, -1.0
    memory.codes[0, :3, 0] = torch.tensor([7.0, 5.0, -3.0])  # the empty places' zeros are no codes
    memory.codes[2, :, 0] = torch.arange(MEMORIES).float().square()
    nu = torch.tensor([[0.9, 1.1, 1.0, 0.4], [0.0, 0.0, 0.0, -0.1]])
    # sums of distances: 7 -> 12, 5 -> 10, -3 -> 18; of the squares 0 ... 225 the middle ones, 49 and 64, have the least
    same, codes = memory.recalled(nu)
    assert codes[0].item() == 5.0 and codes[1].item() in (49.0, 64.0)
    assert torch.equal(same, nu)


def test_nu_is_moved_towards_the_nearest_seen_speakers_mean() -> None:
    memory = code(identity_recall=0.25)
    nu = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 4.0]])
    assert torch.equal(memory.recalled(nu)[0], nu)  # nothing seen yet
    memory.seen[:] = torch.tensor([2, 0, 1])
    memory.nus[0, 0], memory.nus[1], memory.nus[2, 3] = 5.0, nu[1], 8.0
    expected = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.25, 5.0]])
    torch.testing.assert_close(memory.recalled(nu)[0], expected)
    assert memory.recalled(nu.bfloat16())[0].dtype == torch.bfloat16


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_no_other_share_than_a_part(share: float) -> None:
    with pytest.raises(ValueError, match=r"identity_recall must lie in \[0, 1\]"):
        code(identity_recall=share)


def generator(**settings: object) -> Speech2VideoGenerator:
    torch.manual_seed(0)
    return Speech2VideoGenerator(
        16, 24, 8, image_size=128, width=1 / 16, feature_width=1 / 16, **settings
    ).eval()  # type: ignore[arg-type]


def test_a_generator_draws_with_what_it_is_given_or_recalls() -> None:
    made = generator(pose_dim=4, num_speakers=2, identity_recall=0.5)
    assert made.pose is not None
    contexts, nu, mu = torch.randn(1, 2, 16), torch.randn(1, 24), torch.randn(1, 8)
    made.pose.seen[1], made.pose.codes[1, 0] = 1, torch.tensor([1.0, -2.0, 0.5, 3.0])
    made.pose.nus[1] = torch.randn(24)
    code = made.pose.codes[1, :1].expand(1, 2, -1)
    with torch.no_grad():
        recalled = made(contexts, nu, mu)
        expected = made(contexts, (nu + made.pose.nus[1]) / 2, mu, code)
        others = made(contexts, nu, mu, code)[0], made(contexts, nu, mu, torch.zeros(1, 2, 4))[0]
    torch.testing.assert_close(recalled, expected)
    for other in others:
        assert (recalled[0] - other).abs().max() > 1e-3


def test_pose_codes_need_to_know_how_many_speakers_there_are() -> None:
    with pytest.raises(ValueError, match="num_speakers"):
        generator(pose_dim=4)
    with pytest.raises(ValueError, match="identity_recall needs pose_dim"):
        generator(identity_recall=0.5)


@pytest.mark.parametrize(
    ("region", "size", "rows", "columns"),
    [
        ("lower", 2, [1], [0, 1]),
        ("lower", 4, [2, 3], [1, 2]),
        ("lower", 8, [4, 5, 6, 7], [2, 3, 4, 5]),
        ("jaw", 2, [1], [0, 1]),
        ("jaw", 4, [3], [1, 2]),
    ],
)
def test_cells_are_those_that_the_region_touches(
    region: ContextRegion, size: int, rows: list[int], columns: list[int]
) -> None:
    """By hand: `lower` is the lower half's middle, 0.5 to 1 from the top and 0.25 to 0.75 from the left; `jaw` its
    lower half.
    """
    expected = [[row in rows and column in columns for column in range(size)] for row in range(size)]
    assert cells(size, region).tolist() == expected


def test_contexts_reach_their_region_alone() -> None:
    contexts, nu, mu = torch.randn(1, 1, 16), torch.randn(1, 24), torch.randn(1, 8)
    for region, still in (("full", False), ("lower", True)):
        made = generator(context_region=region)
        with torch.no_grad():
            change = (made(contexts, nu, mu)[0] - made(-contexts, nu, mu)[0]).abs()[0, 0].amax(0)
            by_mood = (made(contexts, nu, mu)[0] - made(contexts, nu, -mu)[0]).abs()[0, 0].amax(0)
        assert change[64:, 32:96].max() > 1e-3
        # five transposed convolutions carry a cell's content less than a cell's width, 32 pixels, further
        assert bool(change[:31].max() == 0) is still
        assert by_mood[:31].max() > 1e-3
