"""The samples that transformers has a layer for: its weights and cache, copied by the lines in the sample.

On a CPU transformers runs its code for PyTorch: a sequence in chunks, a single step as the recurrence.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_copying_lines import CELLS, copying_lines

import rnncli
from rnncli import handbook

pytest.importorskip("transformers")

import torch
import transformers
from transformers.models.mamba.modeling_mamba import MambaMixer
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet
from transformers.models.xlstm.modeling_xlstm import xLSTMLayer

pytestmark = pytest.mark.slow

UNITS, TIMESTEPS, BATCH = 12, 40, 3
LAYERS = {
    "qwen3_next": (
        Qwen3NextGatedDeltaNet,
        transformers.Qwen3NextConfig(
            hidden_size=UNITS, linear_num_key_heads=2, linear_num_value_heads=6, linear_key_head_dim=5,
            linear_value_head_dim=4, linear_conv_kernel_dim=3, num_hidden_layers=1,
            layer_types=["linear_attention"],
        ),
        {"groups": 2, "repeats": 3, "keys": 5, "values": 4, "taps": 3},
    ),
    "mamba2_layer": (
        Mamba2Mixer,
        transformers.Mamba2Config(
            hidden_size=UNITS, num_heads=6, head_dim=4, state_size=5, n_groups=2, conv_kernel=3,
            chunk_size=16, num_hidden_layers=1,
        ),
        {"groups": 2, "repeats": 3, "numbers": 5, "taps": 3},
    ),
    "mamba": (
        MambaMixer,
        transformers.MambaConfig(
            hidden_size=UNITS, state_size=5, time_step_rank=3, conv_kernel=3, num_hidden_layers=1
        ),
        {"numbers": 5, "rank": 3, "taps": 3},
    ),
}  # fmt: skip


def made(layer_class: Any, config: Any) -> Any:
    """Return a layer whose parameters all differ."""
    torch.manual_seed(7)
    layer = layer_class(config, 0) if layer_class is not xLSTMLayer else layer_class(config)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer.eval().requires_grad_(False)


def copied(name: str, layer: Any, cache: Any) -> dict[str, Any]:
    """Return the names that the Python in a sample assigns, `weights` and `states` among them."""
    names = {"np": np, "layer": layer, "cache": cache}
    exec(copying_lines(name), names)
    return names


def ours(
    name: str, x: Any, weights: Any, sizes: Any, start: Any = None, units: int = UNITS, **options: Any
) -> Any:
    given = "".join(f", {key}={value}" for key, value in sizes.items())
    return rnncli.run(
        x, f"@'{CELLS / name}.toml'({units}{given})", weights=weights, initial_state=start,
        return_sequences=True, return_state=True, dtype="float32", **options,
    )  # fmt: skip


def near(left: Any, right: Any, scale: float = 1.0) -> None:
    assert left.shape == right.shape
    np.testing.assert_allclose(left, right, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_states(name: str) -> None:
    layer_class, config, sizes = LAYERS[name]
    layer, cache = made(layer_class, config), transformers.DynamicCache(config=config)
    x = torch.randn(BATCH, TIMESTEPS, UNITS)
    theirs = layer(x, cache=cache).numpy()
    names = copied(name, layer, cache.layers[0])
    found = ours(name, x.numpy(), names["weights"], sizes)
    near(found["hidden_states"], theirs)
    for state, values in names["states"].items():
        if state != "last_hidden_state":
            near(found[state], values)


@pytest.mark.parametrize("name", LAYERS)
def test_a_step_after_a_sequence(name: str) -> None:
    """The cell goes on from the framework's cache, and the framework's step agrees."""
    layer_class, config, sizes = LAYERS[name]
    layer, cache = made(layer_class, config), transformers.DynamicCache(config=config)
    x = torch.randn(BATCH, TIMESTEPS, UNITS)
    layer(x[:, :-2], cache=cache)
    for step in (TIMESTEPS - 2, TIMESTEPS - 1):
        before = copied(name, layer, cache.layers[0])
        start = {state: values.copy() for state, values in before["states"].items()}
        theirs = layer(x[:, step : step + 1], cache=cache).numpy()
        found = ours(name, x[:, step : step + 1].numpy(), before["weights"], sizes, start)
        near(found["hidden_states"], theirs)
        after = copied(name, layer, cache.layers[0])["states"]
        for state in start.keys() - {"last_hidden_state"}:
            near(found[state], after[state])


@pytest.mark.parametrize("name", LAYERS)
def test_left_padding(name: str) -> None:
    """An attention mask whose zeros come first is a mask: it leaves the states at zero."""
    layer_class, config, sizes = LAYERS[name]
    layer, cache = made(layer_class, config), transformers.DynamicCache(config=config)
    x = torch.randn(BATCH, TIMESTEPS, UNITS)
    mask = np.arange(TIMESTEPS) >= np.array([[0], [3], [TIMESTEPS - 2]])
    theirs = layer(x, cache=cache, attention_mask=torch.tensor(mask)).numpy()
    names = copied(name, layer, cache.layers[0])
    found = ours(name, x.numpy(), names["weights"], sizes, mask=mask)
    near(found["hidden_states"][mask], theirs[mask])
    for state, values in names["states"].items():
        if state != "last_hidden_state":
            near(found[state], values)


@pytest.mark.parametrize("timesteps", [1, 13, 32, 40])
def test_mlstm(timesteps: int) -> None:
    """Without eps and caps, before the norm, relative to its values; chunks have 16 steps."""
    config = transformers.xLSTMConfig(
        hidden_size=UNITS, num_heads=3, qk_dim_factor=1.0, gate_soft_cap=1e6, eps=0.0, num_hidden_layers=1,
        autocast_kernel_dtype="float32", chunk_size=16,
    )  # fmt: skip
    layer, x, returned = made(xLSTMLayer, config), torch.randn(BATCH, timesteps, UNITS), []
    layer.mlstm_backend.register_forward_hook(lambda module, inputs, output: returned.append(output[0]))
    cache = layer(x)[1]
    theirs = returned[0].transpose(1, 2).flatten(2) * torch.sigmoid(layer.ogate_preact(x))
    names = copied("mlstm", layer, cache)
    found = ours("mlstm", x.numpy(), names["weights"], {"heads": 3})
    near(found["hidden_states"], theirs.numpy(), max(1.0, float(theirs.abs().max())))
    for state, values in names["states"].items():
        if state != "last_hidden_state":
            near(found[state], values, max(1.0, np.abs(values).max()))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_script_of_the_page(lang: str, here: Path) -> None:
    """What it asserts holds."""
    page = handbook.read("cells", lang)
    script = next(
        code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "MambaMixer" in code
    )
    assert copying_lines("mamba") in script
    (here / "mamba.toml").write_text((CELLS / "mamba.toml").read_text(encoding="utf-8"))
    exec(script, {})
    assert {file.name for file in here.iterdir()} > {"x.npy", "weights.npz", "states.npz"}


SMALL = {"vocab_size": 9, "hidden_size": 16, "num_hidden_layers": 2}
MODELS = {
    "qwen3_next": (
        transformers.Qwen3NextForCausalLM,
        transformers.Qwen3NextConfig(
            **SMALL, layer_types=["linear_attention", "full_attention"], linear_num_key_heads=2,
            linear_num_value_heads=4, linear_key_head_dim=4, linear_value_head_dim=4, num_attention_heads=2,
            num_key_value_heads=2, head_dim=8, intermediate_size=16, moe_intermediate_size=8,
            shared_expert_intermediate_size=8, num_experts=2, num_experts_per_tok=1,
        ),
        {"groups": 2, "repeats": 2, "keys": 4, "values": 4},
    ),
    "mamba2_layer": (
        transformers.Mamba2ForCausalLM,
        transformers.Mamba2Config(**SMALL, num_heads=8, head_dim=4, state_size=8, n_groups=1),
        {"groups": 1, "repeats": 8, "numbers": 8},
    ),
    "mamba": (
        transformers.MambaForCausalLM,
        transformers.MambaConfig(**SMALL, state_size=8, time_step_rank=2),
        {"numbers": 8, "rank": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_layer_in_a_model(name: str) -> None:
    """The layer and the cache are where the comment says."""
    model_class, config, sizes = MODELS[name]
    torch.manual_seed(3)
    model = model_class(config).eval()
    comment = (CELLS / f"{name}.toml").read_text(encoding="utf-8").split("\nname = ")[0].replace("\n#", "")
    where = {part: re.findall(f"`{part}` is `(.*?)`", comment)[0] for part in ("layer", "cache")}
    layer, seen = eval(where["layer"], {"model": model, "i": 0}), []
    layer.register_forward_hook(
        lambda _, given, kept, output: seen.extend([given, kept, output]), with_kwargs=True
    )
    with torch.no_grad():
        outputs = model(torch.tensor([[1, 2, 3, 4, 5]]), use_cache=True)
    given, kept, output = seen
    names = copied(name, layer, eval(where["cache"], {"outputs": outputs, "i": 0}))
    x = given[0] if given else kept["hidden_states"]
    found = ours(name, x.numpy(), names["weights"], sizes, units=16)
    near(found["hidden_states"], output.numpy())
    for state in names["states"].keys() - {"last_hidden_state"}:
        near(found[state], names["states"][state])
