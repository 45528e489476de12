// A glTF 2.0 binary read while it arrives: the JSON as soon as it is whole, then each buffer view with its last byte.
// Views are windows of one buffer, so nothing is copied; every offset and count of the file is checked.

const MAGIC = 0x46546c67;
const HEADER_BYTES = 20;
const LARGEST_FILE = 2 ** 30;
const COMPONENTS = {
  5120: Int8Array, 5121: Uint8Array, 5122: Int16Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array,
};
const LARGEST = {5120: 127, 5121: 255, 5122: 32767, 5123: 65535};
const WIDTHS = {SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT4: 16};

/** Something about a file or this browser that a person should read; the message is one sentence. */
export class AvatarError extends Error {
  name = 'AvatarError';
}

/** Throw unless the file keeps its word. */
export function demand(condition, reason) {
  if (!condition) throw new AvatarError(`This avatar file is damaged: ${reason}.`);
}

/** A whole number, not negative and below `limit`. */
export function whole(value, limit = LARGEST_FILE) {
  demand(Number.isInteger(value) && value >= 0 && value < limit, `${JSON.stringify(value)} stands where a count belongs`);
  return value;
}

/** The parsed JSON and those buffer views that have arrived. */
export class GlbDocument {
  constructor(json, buffer, binaryStart) {
    demand(json && typeof json === 'object' && Array.isArray(json.bufferViews), 'it lists no buffer views');
    this.json = json;
    this.buffer = buffer;
    this.windows = json.bufferViews.map((view) => {
      const start = binaryStart + whole(view.byteOffset ?? 0);
      const length = whole(view.byteLength);
      demand(start + length <= buffer.byteLength, 'a buffer view runs past its end');
      return {start, length, ready: false};
    });
  }

  isReady(view) {
    return this.windows[view]?.ready === true;
  }

  /** Bytes of a buffer view as one typed array of `count` values from `offset` on. */
  window(view, Type = Uint8Array, offset = 0, count = -1) {
    const found = this.windows[view];
    demand(found?.ready, 'a buffer view is missing');
    const length = count < 0 ? Math.floor((found.length - offset) / Type.BYTES_PER_ELEMENT) : count;
    demand(offset >= 0 && offset + length * Type.BYTES_PER_ELEMENT <= found.length, 'an array runs past its buffer view');
    demand((found.start + offset) % Type.BYTES_PER_ELEMENT === 0, 'an array is not aligned');
    return new Type(this.buffer, found.start + offset, length);
  }

  accessor(index) {
    const accessor = this.json.accessors?.[whole(index)];
    demand(accessor && WIDTHS[accessor.type] && COMPONENTS[accessor.componentType], `accessor ${index} makes no sense`);
    whole(accessor.count);
    return accessor;
  }

  /** Which buffer views an accessor reads. */
  viewsOf(index) {
    const {bufferView, sparse} = this.accessor(index);
    return [bufferView, sparse?.indices?.bufferView, sparse?.values?.bufferView].filter((view) => view !== undefined);
  }

  /** Values of a dense accessor, tightly packed; normalised integers become fractions when `asFloats`. */
  array(index, asFloats = false) {
    const accessor = this.accessor(index);
    const Type = COMPONENTS[accessor.componentType];
    const width = WIDTHS[accessor.type];
    const {count, normalized} = accessor;
    const bytes = Type.BYTES_PER_ELEMENT;
    const stride = whole(this.json.bufferViews[accessor.bufferView]?.byteStride ?? width * bytes) / bytes;
    demand(Number.isInteger(stride) && stride >= width, `accessor ${index} has a wrong stride`);
    const needed = count ? stride * (count - 1) + width : 0;
    const raw = this.window(accessor.bufferView, Type, whole(accessor.byteOffset ?? 0), needed);
    if (!asFloats && stride === width) return raw;
    const packed = asFloats ? new Float32Array(count * width) : new Type(count * width);
    const unit = asFloats && normalized ? 1 / LARGEST[accessor.componentType] : 1;
    for (let i = 0; i < count; i++) {
      for (let c = 0; c < width; c++) packed[i * width + c] = raw[i * stride + c] * unit;
    }
    return packed;
  }

  /** Sparse 16-bit vectors of a morph target, used in place: {index, delta}; null when it moves nothing. */
  sparseVectors(index, vertexCount) {
    const {sparse, count, componentType, type} = this.accessor(index);
    demand(count === vertexCount && componentType === 5122 && type === 'VEC3', 'a morph target does not fit the mesh');
    if (!sparse) return null;
    const n = whole(sparse.count);
    demand(sparse.indices?.componentType === 5123, 'a morph target has indices of a wrong type');
    const at = this.window(sparse.indices.bufferView, Uint16Array, whole(sparse.indices.byteOffset ?? 0), n);
    const delta = this.window(sparse.values.bufferView, Int16Array, whole(sparse.values.byteOffset ?? 0), 3 * n);
    for (let i = 0; i < n; i++) demand(at[i] < vertexCount, 'a morph target points past the mesh');
    return {index: at, delta};
  }
}

/**
 * Fetch a GLB. `onDocument(document)` comes once, `onView(index)` once per buffer view in file order.
 * Rejects with an AvatarError for what a person can understand, with AbortError when `signal` aborts.
 */
export async function streamGlb(url, {onDocument, onView, signal}) {
  const response = await open(url, signal);
  const reader = response.body.getReader();
  const parser = new StreamParser(onDocument, onView);
  for (;;) {
    const {done, value} = await nextPart(reader, signal);
    if (done) break;
    parser.accept(value);
  }
  parser.finish();
}

async function open(url, signal) {
  let response;
  try {
    response = await fetch(url, {signal});
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new AvatarError('The avatar could not be fetched: the server did not answer.');
  }
  if (!response.ok) throw new AvatarError(`The avatar could not be fetched: the server answered ${response.status}.`);
  return response;
}

async function nextPart(reader, signal) {
  try {
    return await reader.read();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new AvatarError('The connection broke while the avatar was loading.');
  }
}

class StreamParser {
  constructor(onDocument, onView) {
    this.onDocument = onDocument;
    this.onView = onView;
    this.early = new Uint8Array(0);
    this.bytes = null;
    this.received = 0;
    this.document = null;
    this.queue = [];
  }

  accept(part) {
    if (!this.bytes) {
      part = joined(this.early, part);
      this.early = part;
      if (part.length < HEADER_BYTES) return;
      this.allocate(new DataView(part.buffer, part.byteOffset, part.length));
    }
    demand(this.received + part.length <= this.bytes.length, 'it is longer than its header says');
    this.bytes.set(part, this.received);
    this.received += part.length;
    if (!this.document) this.readJson();
    while (this.queue.length && this.received >= this.queue[0].end) {
      const {index} = this.queue.shift();
      this.document.windows[index].ready = true;
      this.onView(index);
    }
  }

  /** One buffer from the length in the header; Content-Length would be the compressed size. */
  allocate(header) {
    if (header.getUint32(0, true) !== MAGIC || header.getUint32(4, true) !== 2) {
      throw new AvatarError('This file is not an avatar: it is no glTF 2.0 binary.');
    }
    const total = header.getUint32(8, true);
    demand(total >= HEADER_BYTES && total <= LARGEST_FILE, 'its header claims an impossible size');
    this.bytes = new Uint8Array(total);
    this.early = null;
  }

  readJson() {
    const length = new DataView(this.bytes.buffer).getUint32(12, true);
    const binaryStart = HEADER_BYTES + length + 8;
    demand(binaryStart <= this.bytes.length, 'its JSON part runs past its end');
    if (this.received < binaryStart) return;
    this.document = new GlbDocument(parseJson(this.bytes.subarray(HEADER_BYTES, binaryStart - 8)), this.bytes.buffer, binaryStart);
    this.queue = this.document.windows
      .map(({start, length: size}, index) => ({index, end: start + size}))
      .sort((a, b) => a.end - b.end);
    this.onDocument(this.document);
  }

  finish() {
    if (!this.bytes) throw new AvatarError('This file is not an avatar: it is too short.');
    demand(this.document && !this.queue.length, 'it ends early');
  }
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function parseJson(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new AvatarError('This avatar file is damaged: its JSON part cannot be read.');
  }
}
