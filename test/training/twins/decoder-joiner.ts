/**
 * The transducer's stateless decoder and its joiner, over all frames and all prefixes of a target.
 *
 *     e_u = Σ_i conv[·, i] ∘ embedding(context_u[i]);  dec_u = relu(e_u)
 *     context_u = the last symbols of (none, …, blank, y_1, …, y_u); none embeds to zero
 *     j[t,u] = tanh(encoder_proj(enc_t) + decoder_proj(dec_u));  logits[t,u] = output_linear(j[t,u])
 *
 *     dj = (1 − j²) ∘ output_linearᵀ dlogits; summed over u for enc_t, over t for dec_u
 *     de_u = [e_u > 0] ∘ decoder_projᵀ Σ_t dj;  dconv[·, i] = Σ_u de_u ∘ embedding(…);  dembedding(…) += conv[·, i] ∘ de_u
 *
 * enc (T', d), embedding (V, decoderDim), conv (decoderDim, 1, contextSize), logits (T', U + 1, V).
 */
import { linear, linearBackward } from './linear.ts';
import type { Numbers } from './numbers.ts';
import { weightOf, type Gradients, type Weights } from './weights.ts';

export interface JoinerSizes {
  dModel: number;
  decoderDim: number;
  joinerDim: number;
  vocabSize: number;
  contextSize: number;
}

export interface JoinerSaved {
  contexts: number[][];
  /** (U + 1, decoderDim), before and behind the ReLU. */
  before: Float64Array;
  decoderOut: Float64Array;
  /** (T', U + 1, joinerDim) */
  joined: Float64Array;
  logits: Float64Array;
}

/** Contexts of all prefixes of a target; −1 is none. */
function contextsOf(target: readonly number[], contextSize: number): number[][] {
  const symbols = [...Array<number>(contextSize - 1).fill(-1), 0, ...target];
  return Array.from({ length: target.length + 1 }, (_, u) => symbols.slice(u, u + contextSize));
}

/** The two tables of the decoder: (V, decoderDim) and (decoderDim, 1, contextSize). */
export interface DecoderTables {
  embedding: Numbers;
  conv: Numbers;
}

/** The decoder before its ReLU (contexts, decoderDim). */
export function decoder(
  { embedding, conv }: DecoderTables,
  contexts: readonly (readonly number[])[],
  decoderDim: number,
): Float64Array {
  const before = new Float64Array(contexts.length * decoderDim);
  contexts.forEach((context, u) => {
    context.forEach((symbol, i) => {
      for (let k = 0; symbol >= 0 && k < decoderDim; k++) {
        before[u * decoderDim + k] += conv[k * context.length + i] * embedding[symbol * decoderDim + k];
      }
    });
  });
  return before;
}

/** From the gradient of what the decoder has before its ReLU. */
export function decoderBackward(
  dy: Numbers,
  { embedding, conv }: DecoderTables,
  contexts: readonly (readonly number[])[],
  decoderDim: number,
): { dEmbedding: Float64Array; dConv: Float64Array } {
  const dEmbedding = new Float64Array(embedding.length);
  const dConv = new Float64Array(conv.length);
  contexts.forEach((context, u) => {
    context.forEach((symbol, i) => {
      for (let k = 0; symbol >= 0 && k < decoderDim; k++) {
        const d = dy[u * decoderDim + k];
        dConv[k * context.length + i] += d * embedding[symbol * decoderDim + k];
        dEmbedding[symbol * decoderDim + k] += d * conv[k * context.length + i];
      }
    });
  });
  return { dEmbedding, dConv };
}

/** tanh of each frame's projection (T', joinerDim) and each prefix's (U + 1, joinerDim): (T', U + 1, joinerDim). */
export function join(
  { encoderProj, decoderProj }: Record<'encoderProj' | 'decoderProj', Numbers>,
  joinerDim: number,
): Float64Array {
  const width = decoderProj.length / joinerDim;
  return Float64Array.from({ length: encoderProj.length * width }, (_, at) => {
    const [t, u, k] = [Math.floor(at / joinerDim / width), Math.floor(at / joinerDim) % width, at % joinerDim];
    return Math.tanh(encoderProj[t * joinerDim + k] + decoderProj[u * joinerDim + k]);
  });
}

/** From y, which forward has made. */
export function joinBackward(
  { dy, y }: Record<'dy' | 'y', Numbers>,
  { frames, width, joinerDim }: Record<'frames' | 'width' | 'joinerDim', number>,
): Record<'dEncoderProj' | 'dDecoderProj', Float64Array> {
  const dEncoderProj = new Float64Array(frames * joinerDim);
  const dDecoderProj = new Float64Array(width * joinerDim);
  for (let at = 0; at < y.length; at++) {
    const [t, u, k] = [Math.floor(at / joinerDim / width), Math.floor(at / joinerDim) % width, at % joinerDim];
    const d = dy[at] * (1 - y[at] ** 2);
    dEncoderProj[t * joinerDim + k] += d;
    dDecoderProj[u * joinerDim + k] += d;
  }
  return { dEncoderProj, dDecoderProj };
}

const matrix = (weights: Weights, name: string) => ({
  weight: weightOf(weights, `joiner.${name}.weight`),
  bias: weightOf(weights, `joiner.${name}.bias`),
});

export function decoderJoiner(
  weights: Weights,
  encoderOut: Numbers,
  target: readonly number[],
  { dModel, decoderDim, joinerDim, vocabSize, contextSize }: JoinerSizes,
): JoinerSaved {
  const embedding = weightOf(weights, 'decoder.embedding.weight');
  const conv = weightOf(weights, 'decoder.conv.weight');
  const contexts = contextsOf(target, contextSize);
  const before = decoder({ embedding, conv }, contexts, decoderDim);
  const decoderOut = before.map((value) => Math.max(0, value));
  const [frames, width] = [encoderOut.length / dModel, contexts.length];
  const encoderSizes = { rows: frames, inputs: dModel, outputs: joinerDim };
  const encoderProj = linear({ x: encoderOut, ...matrix(weights, 'encoder_proj') }, encoderSizes);
  const decoderSizes = { rows: width, inputs: decoderDim, outputs: joinerDim };
  const decoderProj = linear({ x: decoderOut, ...matrix(weights, 'decoder_proj') }, decoderSizes);
  const joined = join({ encoderProj, decoderProj }, joinerDim);
  const outSizes = { rows: frames * width, inputs: joinerDim, outputs: vocabSize };
  const logits = linear({ x: joined, ...matrix(weights, 'output_linear') }, outSizes);
  return { contexts, before, decoderOut, joined, logits };
}

export function decoderJoinerBackward(
  weights: Weights,
  encoderOut: Numbers,
  dLogits: Numbers,
  { contexts, before, decoderOut, joined }: JoinerSaved,
  { dModel, decoderDim, joinerDim, vocabSize }: JoinerSizes,
): { dEncoderOut: Float64Array; gradients: Gradients } {
  const [frames, width] = [encoderOut.length / dModel, contexts.length];
  const out = linearBackward(
    { dy: dLogits, x: joined, weight: weightOf(weights, 'joiner.output_linear.weight') },
    { rows: frames * width, inputs: joinerDim, outputs: vocabSize },
  );
  const { dEncoderProj, dDecoderProj } = joinBackward({ dy: out.dx, y: joined }, { frames, width, joinerDim });
  const encoder = linearBackward(
    { dy: dEncoderProj, x: encoderOut, weight: weightOf(weights, 'joiner.encoder_proj.weight') },
    { rows: frames, inputs: dModel, outputs: joinerDim },
  );
  const ofDecoder = linearBackward(
    { dy: dDecoderProj, x: decoderOut, weight: weightOf(weights, 'joiner.decoder_proj.weight') },
    { rows: width, inputs: decoderDim, outputs: joinerDim },
  );
  const tables = {
    embedding: weightOf(weights, 'decoder.embedding.weight'),
    conv: weightOf(weights, 'decoder.conv.weight'),
  };
  const dBefore = ofDecoder.dx.map((value, at) => (before[at] > 0 ? value : 0));
  const { dEmbedding, dConv } = decoderBackward(dBefore, tables, contexts, decoderDim);
  const gradients: Gradients = new Map([
    ['decoder.embedding.weight', dEmbedding],
    ['decoder.conv.weight', dConv],
    ['joiner.encoder_proj.weight', encoder.dWeight],
    ['joiner.encoder_proj.bias', encoder.dBias],
    ['joiner.decoder_proj.weight', ofDecoder.dWeight],
    ['joiner.decoder_proj.bias', ofDecoder.dBias],
    ['joiner.output_linear.weight', out.dWeight],
    ['joiner.output_linear.bias', out.dBias],
  ]);
  return { dEncoderOut: encoder.dx, gradients };
}
