"""Painting models of the diffusers library: a pipeline of a few thousand weights, saved to a folder and read back."""

import warnings

import pytest
import torch

from danqing.arts import Tools, paint
from danqing.arts.paint import Paint
from danqing.catalog import styles
from danqing.compute import device
from danqing.errors import BadRequest, Cancelled, Unavailable
from danqing.techniques import hub_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        diffusers = pytest.importorskip("diffusers")
        transformers = pytest.importorskip("transformers")
        from tokenizers import Tokenizer, models, pre_tokenizers

        torch.manual_seed(0)
        words = Tokenizer(models.WordLevel({"<pad>": 0, "<end>": 1, "<unk>": 2, "a": 3, "lake": 4}, unk_token="<unk>"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", eos_token="<end>", model_max_length=8
        )
        text = transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=8, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                max_position_embeddings=8, bos_token_id=0, eos_token_id=1, pad_token_id=0,
            )
        )  # fmt: skip
        unet = diffusers.UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
            attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        vae = diffusers.AutoencoderKL(
            block_out_channels=(4, 4, 4, 4), norm_num_groups=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        pipeline = diffusers.StableDiffusionPipeline(
            vae, text, tokenizer, unet, diffusers.DDIMScheduler(), None, None, requires_safety_checker=False
        )
        path = tmp_path_factory.mktemp("guest")
        pipeline.save_pretrained(path)
    return path


def made(folder, on_step=lambda step: None, **options):
    tools = Tools(device.choose("cpu"), styles.shipped(), on_step)
    return paint.create_all(Paint("a lake", model=f"hf:{folder}", **{"size": 128, "seed": 3, **options}), tools)


def test_a_guest_paints_the_prompt_and_says_who_it_was(folder):
    steps = []
    one, two = made(folder, on_step=steps.append, count=2)
    assert one.content.pixels.shape == (96, 128, 3)
    assert steps[-1].done == steps[-1].total
    assert f"hf:{folder}" in one.provenance.notes[0]
    assert abs(one.content.pixels - two.content.pixels).mean() > 0
    assert (made(folder, seed=4)[0].content.pixels == two.content.pixels).all()


def test_a_guest_can_be_stopped(folder):
    def stop(step):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        made(folder, on_step=stop)


@pytest.mark.parametrize("name", ["hf:", "hf:two words", "segmind/tiny-sd"])
def test_a_name_that_cannot_be_one_is_refused(name):
    with pytest.raises(BadRequest, match="hf:segmind/tiny-sd"):
        hub_pictures.load(name, device.choose("cpu"))


def test_a_folder_without_a_model_says_so(tmp_path):
    pytest.importorskip("diffusers")
    with pytest.raises(Unavailable, match="the folder has no model that can be read"):
        hub_pictures.load(f"hf:{tmp_path}", device.choose("cpu"))


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(Unavailable, match=r"danqing\[hub\]"):
        hub_pictures.load("hf:anyone/anything", device.choose("cpu"))


def test_a_guest_needs_words():
    with pytest.raises(BadRequest, match="goes with a prompt"):
        Paint(None, model="hf:anyone/anything")
