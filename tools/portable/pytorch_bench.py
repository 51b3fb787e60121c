#!/usr/bin/env python3
"""The work of `rill bench` in PyTorch, on the same card: random weights, the same network, the same chunk sizes,
numbers of streams and batches. The LSTM is nn.LSTM with proj_size, so that cuDNN runs it where there is CUDA.

    python3 pytorch_bench.py
    python3 pytorch_bench.py --random d=128,h=256,ff=512,layers=2 --streams 1,4 --seconds 0.5 --json

As in Rill's benchmark, a step begins with features in the CPU's memory and ends with the likeliest token of each frame and
its log-probability there; a batch ends with the encoder's output and its last states. PyTorch runs eagerly, kernel by
kernel, without CUDA graphs. float16 is all of it here, weights, activations and states; Rill's f16 is of the weights alone.
"""

import argparse
import json
import os
import sys
import time

import torch
from torch import nn

FEATURES = 80
VOCABULARY = 500
CONTEXT_FRAMES = 5
SUBSAMPLING = 4
MS_PER_FRAME = 40
STREAM_CHUNK = 4
UTTERANCE_FRAMES = 1000
FULL_SIZE = {"d": 512, "h": 1024, "ff": 2048, "layers": 12}
SECTIONS = {
    "chunks": [1, 2, 4, 8, 16],
    "streams": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "batches": [1, 2, 4, 8, 16, 32],
}


def double_swish(x):
    return x * torch.sigmoid(x - 1.0)


def basic_norm(x, eps):
    """x (..., width), scaled to a root mean square near 1; eps (1), a logarithm."""
    return x * (torch.mean(x.float() ** 2, dim=-1, keepdim=True) + eps.exp()).pow(-0.5).to(x.dtype)


class Layer(nn.Module):
    def __init__(self, d, h, ff):
        super().__init__()
        self.lstm = nn.LSTM(d, h, proj_size=d if h != d else 0, batch_first=True)
        self.ff1 = nn.Linear(d, ff)
        self.ff2 = nn.Linear(ff, d)
        self.eps = nn.Parameter(torch.tensor(-1.386))

    def forward(self, x, state):
        y, state = self.lstm(x, state)
        x = x + y
        x = x + self.ff2(double_swish(self.ff1(x)))
        return basic_norm(x, self.eps), state


class Encoder(nn.Module):
    """icefall's RNN encoder (lstm.py) with a CTC head."""

    def __init__(self, d, h, ff, layers):
        super().__init__()
        self.conv0 = nn.Conv2d(1, 8, 3)
        self.conv3 = nn.Conv2d(8, 32, 3, stride=2)
        self.conv6 = nn.Conv2d(32, 128, 3, stride=2)
        self.out = nn.Linear(128 * (((FEATURES - 2 - 1) // 2 - 1) // 2), d)
        self.eps = nn.Parameter(torch.tensor(-1.386))
        self.layers = nn.ModuleList(Layer(d, h, ff) for _ in range(layers))
        self.ctc = nn.Linear(d, VOCABULARY)
        self.d, self.h = d, h

    def zero_states(self, streams, device, dtype):
        def zeros(width):
            return torch.zeros(1, streams, width, device=device, dtype=dtype)

        return [(zeros(self.d), zeros(self.h)) for _ in self.layers]

    def forward(self, features, states):
        """features (N, 4n + 5, 80) to the encoder's output (N, n, d), and the states after it."""
        x = features.unsqueeze(1)
        for conv in (self.conv0, self.conv3, self.conv6):
            x = double_swish(conv(x))
        x = x.permute(0, 2, 1, 3).flatten(2)
        x = basic_norm(self.out(x), self.eps)
        after = []
        for layer, state in zip(self.layers, states):
            x, state = layer(x, state)
            after.append(state)
        return x, after

    def greedy(self, x):
        """The encoder's output (N, n, d) to the log-probability of each frame's likeliest token and its id, (N, n) each."""
        return torch.log_softmax(self.ctc(x).float(), dim=-1).max(dim=-1)


class Bench:
    def __init__(self, sizes, device, dtype, seconds):
        torch.manual_seed(1)
        self.device, self.dtype, self.seconds = device, dtype, seconds
        self.model = Encoder(**sizes).eval().to(device, dtype)
        self.model_bytes = sum(p.numel() * p.element_size() for p in self.model.parameters())

    def features(self, streams, frames):
        return torch.randn(streams, frames, FEATURES) * 2 - 8

    def run(self, features, states):
        """One step: to the device, through the network, and the tokens back; states stay."""
        x, states = self.model(features.to(self.device, self.dtype), states)
        log_probs, tokens = self.model.greedy(x)
        return torch.stack((tokens.float(), log_probs)).cpu(), states

    def run_batch(self, features, states):
        """Whole utterances: to the device, through the network, and its output and states back."""
        x, states = self.model(features.to(self.device, self.dtype), states)
        return x.float().cpu(), [(h.float().cpu(), c.float().cpu()) for h, c in states]

    def time(self, step, least):
        times = []
        end = time.perf_counter() + self.seconds
        while len(times) < least or (time.perf_counter() < end and len(times) < 500):
            start = time.perf_counter()
            step()
            times.append(1000 * (time.perf_counter() - start))
        shares = torch.tensor([0.5, 0.1, 0.9], dtype=torch.float64)
        median, p10, p90 = torch.tensor(times, dtype=torch.float64).quantile(shares).tolist()
        return {"steps": len(times), "medianMs": median, "p10Ms": p10, "p90Ms": p90}

    def memory(self):
        """Bytes on the card at most in this row; absent on a CPU."""
        if self.device.type != "cuda":
            return {}
        return {"gpuBytes": torch.cuda.max_memory_allocated(self.device)}

    def row(self, section, number):
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        return getattr(self, section)(number)

    def steps(self, streams, chunk_frames):
        features = self.features(streams, SUBSAMPLING * chunk_frames + CONTEXT_FRAMES)
        state = self.model.zero_states(streams, self.device, self.dtype)
        for _ in range(3):
            _, state = self.run(features, state)

        def step():
            nonlocal state
            _, state = self.run(features, state)

        return {**self.time(step, 2), **self.memory()}

    def chunks(self, frames):
        timing = self.steps(1, frames)
        return {"chunkFrames": frames, **timing, "realTimeFactor": timing["medianMs"] / (MS_PER_FRAME * frames)}

    def streams(self, streams):
        timing = self.steps(streams, STREAM_CHUNK)
        chunk_ms = STREAM_CHUNK * MS_PER_FRAME
        median = timing["medianMs"]
        row = {"streams": streams, **timing}
        row["inputFramesPerSecond"] = 1000 * streams * STREAM_CHUNK * SUBSAMPLING / median
        if median <= chunk_ms:
            row["realTimeStreams"] = int(streams * chunk_ms / median)
        return row

    def batches(self, utterances):
        features = self.features(utterances, UTTERANCE_FRAMES)
        states = self.model.zero_states(utterances, self.device, self.dtype)
        self.run_batch(features[:, :100], states)
        timing = {**self.time(lambda: self.run_batch(features, states), 1), **self.memory()}
        frames = utterances * UTTERANCE_FRAMES
        return {
            "utterances": utterances,
            **timing,
            "inputFramesPerSecond": 1000 * frames / timing["medianMs"],
            "realTimeFactor": timing["medianMs"] / (10 * frames),
        }


WAKE_WORDS = {"d": 128, "h": 256, "ff": 512, "layers": 4}
TRAINED = ("layer", "fine-tune", "teach")
LABELS = 8


class Training:
    """Steps of training as `rill-bench.mjs --train` has them: forwards, backwards, Adam, and the loss read back."""

    def __init__(self, sizes, device, seconds):
        torch.manual_seed(1)
        self.sizes, self.device, self.seconds = sizes, device, seconds

    def row(self, name):
        step, forward = {"layer": self.layer, "fine-tune": self.fine_tune, "teach": self.teach}[name]()
        start = time.perf_counter()
        step()
        cold = 1000 * (time.perf_counter() - start)
        timer = Bench.time
        row = {"name": name, "coldMs": cold, **timer(self, step, 2)}
        row["forwardMs"] = timer(self, forward, 2)["medianMs"]
        row["stepsPerSecond"] = 1000 / row["medianMs"]
        return row

    def layer(self):
        """One layer, 8 utterances of 75 frames, with a mean square as its loss. PyTorch's two biases of the LSTM are both trained."""
        layer = Layer(WAKE_WORDS["d"], WAKE_WORDS["h"], WAKE_WORDS["ff"]).to(self.device)
        layer.eps.requires_grad_(False)
        x, wanted = (torch.randn(8, 75, WAKE_WORDS["d"], device=self.device) for _ in range(2))

        def loss():
            y, _ = layer(x, None)
            return ((y - wanted) ** 2).mean()

        return self.steps(loss, [p for p in layer.parameters() if p.requires_grad])

    def fine_tune(self):
        model = Encoder(**self.sizes).to(self.device)
        batch = self.batch(model, 8, 300)
        return self.steps(lambda: self.ctc(model, *batch), list(model.parameters()))

    def teach(self):
        """The last two layers and the head, from what the layers below them gave once."""
        model = Encoder(**self.sizes).to(self.device)
        trained = nn.ModuleList([*model.layers[-2:], model.ctc])
        batches = [self.batch(model, 9, 240, below=2), self.batch(model, 4, 600, below=2)]
        return self.steps(lambda: sum(self.ctc(model, *batch, below=2) for batch in batches), list(trained.parameters()))

    def batch(self, model, utterances, frames, below=0):
        encoder_frames = ((frames - 3) // 2 - 1) // 2
        shape = (utterances, encoder_frames, self.sizes["d"]) if below else (utterances, frames, FEATURES)
        x = torch.randn(*shape, device=self.device)
        targets = torch.randint(1, VOCABULARY, (utterances, LABELS), device=self.device)
        return x, targets

    def ctc(self, model, x, targets, below=0):
        if below:
            for layer in model.layers[-below:]:
                x, _ = layer(x, None)
        else:
            x, _ = model(x, [None] * len(model.layers))
        log_probs = torch.log_softmax(model.ctc(x), dim=-1).transpose(0, 1)
        lengths = (torch.full((len(targets),), n, dtype=torch.long) for n in (log_probs.shape[0], LABELS))
        return nn.functional.ctc_loss(log_probs, targets, *lengths, reduction="sum")

    def steps(self, loss, parameters):
        adam = torch.optim.Adam(parameters, lr=1e-5, betas=(0.9, 0.98), eps=1e-9)

        def step():
            adam.zero_grad()
            value = loss()
            value.backward()
            nn.utils.clip_grad_norm_(parameters, 5.0)
            adam.step()
            return value.item()

        def forward():
            with torch.no_grad():
                return loss().item()

        return step, forward


def print_table(title, rows):
    keys = list(rows[0])
    cells = [keys] + [[f"{row[k]:.3f}" if isinstance(row.get(k), float) else str(row.get(k, "-")) for k in keys] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    print(f"\n{title}\n")
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


def numbers(text):
    values = [int(number) for number in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError("whole numbers from 1 on, with commas between them")
    return values


DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
DTYPES.update(f32=torch.float32, f16=torch.float16, bf16=torch.bfloat16)


def dtype_names(text):
    names = text.split(",")
    if not all(name in DTYPES for name in names):
        raise argparse.ArgumentTypeError(f"of {', '.join(DTYPES)}")
    return names


def seconds(text):
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError("from 0 to 3600")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", default="", help="sizes: d=512,h=1024,ff=2048,layers=12")
    for section in SECTIONS:
        parser.add_argument(f"--{section}", type=numbers, help="only the sections named are measured; all by default")
    parser.add_argument("--dtypes", type=dtype_names, help="float32,float16 on a GPU, float32 on a CPU")
    parser.add_argument("--tf32", choices=["on", "off"], default="off", help="whether float32 may be multiplied in TF32")
    parser.add_argument("--seconds", type=seconds, default=4.0, help="for each row, at the most")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--train", help="of layer, fine-tune and teach, and nothing else; all three by default")
    parser.add_argument("--threads", type=int, help="on a CPU")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    sizes = dict(FULL_SIZE)
    for pair in filter(None, args.random.split(",")):
        key, _, value = pair.partition("=")
        if key not in sizes or not value.isdigit() or int(value) < 1:
            parser.error(f"--random with {pair}; expected d=512,h=1024,ff=2048,layers=12")
        sizes[key] = int(value)
    if sizes["h"] < sizes["d"]:
        parser.error(f"--random with h={sizes['h']}; expected at least d={sizes['d']}: nn.LSTM projects to fewer only")
    named = {name: getattr(args, name) for name in SECTIONS if getattr(args, name)}
    trained = args.train.split(",") if args.train else [] if named else list(TRAINED)
    if not all(name in TRAINED for name in trained):
        parser.error(f"--train {args.train}; expected {', '.join(TRAINED)}")
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        device = torch.device(args.device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        parser.error(f"--device {args.device}: {error}")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.tf32 == "on"
    torch.backends.cudnn.benchmark = True
    on_gpu = device.type == "cuda"
    dtypes = args.dtypes or (["float32", "float16"] if on_gpu else ["float32"])
    output = {
        "device": torch.cuda.get_device_name(device) if on_gpu else f"{device.type.upper()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
        "tf32": args.tf32,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "sizes": sizes,
        "dtypes": [],
    }
    for name in trained:
        print(f"training {name}", file=sys.stderr)
        training = Training(sizes if args.random else dict(WAKE_WORDS), device, args.seconds)
        output.setdefault("training", []).append(training.row(name))
    with torch.inference_mode():
        for dtype in [] if args.train and not named else dtypes:
            bench = Bench(sizes, device, DTYPES[dtype], args.seconds)
            result = {"dtype": dtype, "modelBytes": bench.model_bytes}
            output["dtypes"].append(result)
            for section, rows in (named or SECTIONS).items():
                result[section] = []
                for row in rows:
                    print(f"{dtype} {section} {row}", file=sys.stderr)
                    try:
                        result[section].append(bench.row(section, row))
                    except RuntimeError as error:
                        # Out of memory, most likely: the rows before stand.
                        output.setdefault("problems", []).append(f"{dtype} {section} {row}: {error}")
            del bench
    for problem in output.get("problems", []):
        print(problem, file=sys.stderr)
    if args.json:
        print(json.dumps(output))
        sys.exit(1 if "problems" in output else 0)
    print(f"{output['device']}, PyTorch {output['torch']} (eager), cuDNN {output['cudnn']}, TF32 {args.tf32}; {sizes}")
    if output.get("training"):
        print_table("training, float32", output["training"])
    for result in output["dtypes"]:
        for section in SECTIONS:
            if result.get(section):
                print_table(f"{section}, {result['dtype']}", result[section])
    sys.exit(1 if "problems" in output else 0)


if __name__ == "__main__":
    main()
