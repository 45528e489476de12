// Motion clips: the compact binary form that viewer/clips.py writes (FORMAT.md, "Clips"), or a plain object.

import {AvatarError} from './glb.js';

const MAGIC = 0x43335041; // "AP3C"
const VERSION = 1;

/** A URL or an object → {fps, frames, expressions, joints, expression (frames × E), rotations (frames × 3J)}. */
export async function loadClip(source, signal) {
  if (typeof source !== 'string') return fromObject(source);
  let bytes, isJson;
  try {
    const response = await fetch(source, {signal});
    if (!response.ok) throw new AvatarError(`The clip could not be fetched: the server answered ${response.status}.`);
    bytes = await response.arrayBuffer();
    isJson = new Uint8Array(bytes, 0, Math.min(1, bytes.byteLength))[0] === 0x7b;
  } catch (error) {
    if (error instanceof AvatarError || signal?.aborted) throw error;
    throw new AvatarError('The clip could not be fetched: the server did not answer.');
  }
  return isJson ? fromObject(parse(new Uint8Array(bytes))) : fromBytes(bytes);
}

/** Read the binary form; throws AvatarError. */
export function fromBytes(buffer) {
  const view = new DataView(buffer);
  demand(buffer.byteLength >= 12 && view.getUint32(0, true) === MAGIC, 'it is no clip of this program');
  demand(view.getUint32(4, true) === VERSION, `it is version ${view.getUint32(4, true)} of the format`);
  const start = 12 + view.getUint32(8, true);
  demand(start % 4 === 0 && start <= buffer.byteLength, 'its header runs past its end');
  const {fps, frames, expressions, joints, expressionScale, rotationScale} = parse(new Uint8Array(buffer, 12, start - 12));
  demand(Array.isArray(expressions) && Array.isArray(joints), 'it names no channels');
  const perFrame = expressions.length + 3 * joints.length;
  demand(Number.isInteger(frames) && buffer.byteLength - start === 2 * frames * perFrame, 'its length is wrong');
  const raw = new Int16Array(buffer, start);
  const split = frames * expressions.length;
  const expression = Float32Array.from(raw.subarray(0, split), (value) => value * expressionScale);
  const rotations = Float32Array.from(raw.subarray(split), (value) => value * rotationScale);
  return check({fps, frames, expressions, joints, expression, rotations});
}

/** {fps, names, expression: rows, joints, rotations: rows of [x, y, z] per joint}; joints may be left out. */
function fromObject(object) {
  demand(object && Array.isArray(object.names) && Array.isArray(object.expression), 'it has no names or no expression rows');
  const {fps, names, expression, joints = [], rotations = []} = object;
  return check({
    fps, frames: expression.length, expressions: names, joints,
    expression: Float32Array.from(expression.flat()), rotations: Float32Array.from(rotations.flat(2)),
  });
}

function check(clip) {
  demand(clip.fps > 0 && clip.fps <= 1000 && clip.frames > 0, 'it has no frames or no frame rate');
  demand(clip.expression.length === clip.frames * clip.expressions.length, 'its expression rows differ in length');
  demand(clip.rotations.length === clip.frames * 3 * clip.joints.length, 'its rotations do not fit its joints');
  demand(clip.expression.every(Number.isFinite) && clip.rotations.every(Number.isFinite), 'it holds numbers that are not finite');
  return clip;
}

function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new AvatarError('This clip is damaged: its JSON part cannot be read.');
  }
}

function demand(condition, reason) {
  if (!condition) throw new AvatarError(`This clip is damaged: ${reason}.`);
}
