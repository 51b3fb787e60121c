#!/usr/bin/env python3
"""The training of `npm run compare:pytorch` in PyTorch: the same network from the same weights, on the same batches.

    python3 pytorch_curve.py folder --dtypes float32,float64

The folder is the one that the command writes with --keep: run.json (options, batches, targets), features.safetensors,
model.safetensors. Masks are drawn here, by Philox from the coordinates of their elements, as Rill draws them. Gradients are
autograd's, the loss is F.ctc_loss, the optimizer torch.optim.Adam. Prints JSON: the losses of all steps, by dtype.
"""

import argparse
import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# Sites of draws; below are those of layers, three each: behind the LSTM, within the feed-forward, behind it.
LAYER_DROPOUT = 0x8000
HEAD_DROPOUT = 0x8002
BYPASSED = 0.1


def philox(counter, key):
    """Philox4x32-10: four arrays of counters, of one shape, and two key words, to four arrays of words."""
    c = [np.asarray(word, np.uint64) for word in counter]
    k = [np.uint64(word) for word in key]
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> shift) ^ c[1] ^ k[0], b & low, (a >> shift) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c


class Draws:
    """What is random in one step."""

    def __init__(self, run, step, dtype):
        self.key = (run["seed"] & 0xFFFFFFFF, run["seed"] >> 32)
        self.step, self.dtype, self.dropout, self.layer_dropout = step, dtype, run["dropout"], run["layerDropout"]

    def mask(self, x, site):
        """Dropout of x (N, T, width)."""
        n, t, block = np.meshgrid(*(np.arange(size) for size in (*x.shape[:2], -(-x.shape[2] // 4))), indexing="ij")
        words = philox((block, t, n | site << 16, np.full_like(n, self.step)), self.key)
        kept = np.stack(words, axis=-1).reshape(*x.shape[:2], -1)[:, :, : x.shape[2]] >= int(self.dropout * 2**32)
        return x * torch.from_numpy(kept).to(self.dtype) / (1 - self.dropout)

    def alpha(self, layer):
        """How much of a layer counts; the rest is its input. Training is behind its warm-up."""
        word = philox((0, 0, layer | LAYER_DROPOUT << 16, self.step), self.key)[0]
        return 1.0 if word >= int(self.layer_dropout * 2**32) else BYPASSED


def double_swish(x):
    return x * torch.sigmoid(x - 1)


class BasicNorm(nn.Module):
    def __init__(self, is_trained):
        super().__init__()
        eps = torch.tensor(0.25).log()
        if is_trained:
            self.eps = nn.Parameter(eps)
        else:
            self.register_buffer("eps", eps)

    def forward(self, x):
        return x * (x.square().mean(-1, keepdim=True) + self.eps.exp()).rsqrt()


class Layer(nn.Module):
    def __init__(self, d, hidden, ff):
        super().__init__()
        self.lstm = nn.LSTM(d, hidden, proj_size=d if d != hidden else 0, batch_first=True)
        self.feed_forward = nn.ModuleDict({"0": nn.Linear(d, ff), "4": nn.Linear(ff, d)})
        self.norm_final = BasicNorm(True)

    def forward(self, x, site, draws):
        alpha = draws.alpha(site // 3)
        y = x + draws.mask(self.lstm(x)[0], site)
        inner = draws.mask(double_swish(self.feed_forward["0"](y)), site + 1)
        y = y + draws.mask(self.feed_forward["4"](inner), site + 2)
        return alpha * self.norm_final(y) + (1 - alpha) * x


class Embed(nn.Module):
    def __init__(self, features, channels, d):
        super().__init__()
        a, b, c = channels
        self.conv = nn.ModuleDict({"0": nn.Conv2d(1, a, 3), "3": nn.Conv2d(a, b, 3, 2), "6": nn.Conv2d(b, c, 3, 2)})
        self.out = nn.Linear(c * (((features - 3) // 2 - 1) // 2), d)
        self.out_norm = BasicNorm(False)

    def forward(self, x):
        x = x.unsqueeze(1)
        for conv in self.conv.values():
            x = double_swish(conv(x))
        return self.out_norm(self.out(x.permute(0, 2, 1, 3).flatten(2)))


class Network(nn.Module):
    """icefall's encoder (lstm.py) with a CTC head, its tensors under icefall's names."""

    def __init__(self, sizes, vocabulary):
        super().__init__()
        d, layers = sizes["dModel"], range(sizes["numEncoderLayers"])
        self.encoder = nn.Module()
        self.encoder.encoder_embed = Embed(sizes["numFeatures"], sizes["channels"], d)
        self.encoder.encoder = nn.Module()
        self.encoder.encoder.layers = nn.ModuleList(
            Layer(d, sizes["rnnHiddenSize"], sizes["dimFeedforward"]) for _ in layers
        )
        self.ctc_output = nn.ModuleDict({"1": nn.Linear(d, vocabulary)})

    def forward(self, features, draws):
        x = self.encoder.encoder_embed(features)
        for i, layer in enumerate(self.encoder.encoder.layers):
            x = layer(x, 3 * i, draws)
        return F.log_softmax(self.ctc_output["1"](draws.mask(x, HEAD_DROPOUT)), -1)


def read_safetensors(path):
    """The tensors of a file of float32."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    assert all(about["dtype"] == "F32" for about in header.values())
    return {
        name: torch.from_numpy(np.frombuffer(data[slice(*about["data_offsets"])], "<f4").reshape(about["shape"]).copy())
        for name, about in header.items()
    }


def train(folder, run, dtype):
    """The loss of each step."""
    stored = read_safetensors(os.path.join(folder, "features.safetensors"))
    features = [stored[str(n)].to(dtype) for n in range(len(stored))]
    network = Network(run["sizes"], run["vocabSize"])
    network.load_state_dict(read_safetensors(os.path.join(folder, "model.safetensors")))
    network.to(dtype).train()
    adam = torch.optim.Adam(network.parameters(), lr=run["learningRate"], betas=run["betas"], eps=run["eps"])
    steps = run["maxSteps"]
    # transformers' linear schedule: to 0 at the last step.
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: max(0, steps - step) / steps)
    losses = []
    for step, members in enumerate(run["batches"]):
        batch = nn.utils.rnn.pad_sequence([features[n] for n in members], batch_first=True)
        lens = [((len(features[n]) - 3) // 2 - 1) // 2 for n in members]
        targets = [run["targets"][n] for n in members]
        log_probs = network(batch, Draws(run, step, dtype)).transpose(0, 1)
        loss = F.ctc_loss(log_probs, torch.tensor(sum(targets, [])), lens, [len(t) for t in targets], zero_infinity=True)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), run["maxGradNorm"])
        adam.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--dtypes", default="float32")
    args = parser.parse_args()
    with open(os.path.join(args.folder, "run.json"), encoding="utf-8") as file:
        run = json.load(file)
    print(json.dumps({name: train(args.folder, run, getattr(torch, name)) for name in args.dtypes.split(",")}))


if __name__ == "__main__":
    main()
