import { RillError, shown } from '../errors.ts';
import { FBANK_DEFAULTS, type FbankOptions } from '../features/fbank.ts';
import type { Model } from '../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, type ModelSizes } from '../model/sizes.ts';
import { readFinite } from '../model/tensors.ts';
import type { TokenTable } from '../model/tokens.ts';
import { EXPORT_DTYPES, type ExportOptions, type SherpaOnnxFiles } from './export-options.ts';
import { writeEncoder } from './onnx-encoder.ts';
import { DATA_TYPE } from './onnx-graph.ts';
import { GraphWriter } from './onnx-writer.ts';

const MAX_FRAMES = 128;

/** Feature options that sherpa-onnx is told; all others are what it takes for every model of this kind. */
const TOLD_FEATURES: ReadonlySet<string> = new Set<keyof FbankOptions>(['sampleRate', 'numMelBins']);

type Transducer = NonNullable<ModelSizes['transducer']> & { vocabSize: number };

function unfit(got: string, expected: string, remedy: string): RillError {
  return new RillError('bad-model', { got, expected, remedy });
}

function resolveOptions({ frames = 1, dtype = 'f32' }: ExportOptions): Required<ExportOptions> {
  if (!(Number.isInteger(frames) && frames >= 1 && frames <= MAX_FRAMES)) {
    throw new RillError('bad-argument', {
      got: `${shown(frames)} frames at a time`,
      expected: `a whole number from 1 to ${MAX_FRAMES}`,
      remedy: 'One encoder frame is 40 ms; 1 is what icefall exports, 4 a good choice for slow machines.',
    });
  }
  if (!EXPORT_DTYPES.includes(dtype)) {
    throw new RillError('bad-argument', {
      got: `dtype ${shown(dtype)}`,
      expected: EXPORT_DTYPES.join(' or '),
      remedy: 'Choose one of them.',
    });
  }
  return { frames, dtype };
}

/** What sherpa-onnx takes for granted must be so, or it would hear something else. */
function requireFit({ sizes, config, tokens }: Model): { transducer: Transducer; tokens: TokenTable } {
  const { transducer, vocabSize } = sizes;
  if (!transducer || vocabSize === undefined) {
    throw unfit(
      'a model without decoder and joiner',
      'a transducer head',
      'Export a model of the whole transducer: sherpa-onnx reads no other with this encoder.',
    );
  }
  if (!tokens) {
    throw unfit(
      'a model without tokens.txt',
      'a token table',
      'Put the tokens.txt of the training run into its folder.',
    );
  }
  if (config.blankId !== 0) {
    throw unfit(
      `blank_id: ${config.blankId}`,
      '0, as sherpa-onnx has it',
      'Only models with the blank at 0 can go there.',
    );
  }
  const features: Readonly<Record<string, unknown>> = { ...config.features };
  for (const [key, expected] of Object.entries(FBANK_DEFAULTS)) {
    const value = features[key];
    if (value !== expected && !TOLD_FEATURES.has(key)) {
      throw unfit(
        `features with ${key} ${String(value)}`,
        `${String(expected)}, as sherpa-onnx computes them`,
        'Only models that were trained on those features can go there.',
      );
    }
  }
  return { transducer: { ...transducer, vocabSize }, tokens };
}

/** A model's weight as a constant of the graph, under its own name. */
async function weight(graph: GraphWriter, { weights }: Model, name: string): Promise<string> {
  return graph.floats(name, weights.tensors.get(name)?.shape ?? [], await readFinite(weights, name));
}

/** x · weightᵀ + bias, of a layer that has both. */
async function linear(graph: GraphWriter, model: Model, x: string, layer: string, output: string): Promise<void> {
  const inputs = [x, await weight(graph, model, `${layer}.weight`), await weight(graph, model, `${layer}.bias`)];
  graph.add('Gemm', inputs, { transB: 1 }, [output]);
}

/** From the last tokens `y` (N, context_size) to `decoder_out` (N, joiner_dim); a negative token embeds to zero. */
async function writeDecoder(model: Model, { contextSize, decoderDim, joinerDim, vocabSize }: Transducer) {
  const graph = new GraphWriter('decoder', { context_size: contextSize, vocab_size: vocabSize });
  const y = graph.input('y', ['N', contextSize], DATA_TYPE.int64);
  const output = graph.output('decoder_out', ['N', joinerDim]);
  const zero = graph.ints(0);
  const embedding = await weight(graph, model, 'decoder.embedding.weight');
  const embedded = graph.add('Gather', [embedding, graph.add('Max', [y, zero])], { axis: 0 });
  const isToken = graph.add('Cast', [graph.add('GreaterOrEqual', [y, zero])], { to: DATA_TYPE.float });
  let x = graph.add('Mul', [embedded, graph.add('Unsqueeze', [isToken, graph.ints(2)])]);
  x = graph.add('Transpose', [x], { perm: [0, 2, 1] });
  const conv = { kernel_shape: [contextSize], group: decoderDim };
  x = graph.add('Conv', [x, await weight(graph, model, 'decoder.conv.weight')], conv);
  x = graph.add('Relu', [graph.add('Squeeze', [x, graph.ints(2)])]);
  await linear(graph, model, x, 'joiner.decoder_proj', output);
  return graph.finish();
}

/** From `encoder_out` and `decoder_out` (N, joiner_dim) to `logit` (N, vocab_size). */
async function writeJoiner(model: Model, { joinerDim, vocabSize }: Transducer) {
  const graph = new GraphWriter('joiner', { joiner_dim: joinerDim });
  const inputs = ['encoder_out', 'decoder_out'].map((name) => graph.input(name, ['N', joinerDim]));
  const output = graph.output('logit', ['N', vocabSize]);
  const hidden = graph.add('Tanh', [graph.add('Add', inputs)]);
  await linear(graph, model, hidden, 'joiner.output_linear', output);
  return graph.finish();
}

/** What `exportSherpaOnnx` of the public entry does. */
export async function exportSherpaOnnx(model: Model, options: ExportOptions = {}): Promise<SherpaOnnxFiles> {
  const { frames, dtype } = resolveOptions(options);
  const { transducer, tokens } = requireFit(model);
  const { numEncoderLayers, dModel, rnnHiddenSize } = model.sizes.encoder;
  const encoder = await writeEncoder(model, {
    frames,
    dtype,
    states: 'joined',
    withProjection: true,
    metadata: {
      model_type: 'lstm',
      version: 1,
      model_author: 'k2-fsa',
      decode_chunk_len: SUBSAMPLING_FACTOR * frames,
      T: SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES,
      num_encoder_layers: numEncoderLayers,
      d_model: dModel,
      rnn_hidden_size: rnnHiddenSize,
    },
  });
  return {
    'encoder.onnx': encoder,
    'decoder.onnx': await writeDecoder(model, transducer),
    'joiner.onnx': await writeJoiner(model, transducer),
    'tokens.txt': tokens.toString(),
  };
}
