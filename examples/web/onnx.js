// What an ONNX file says of itself: `metadata_props` of its ModelProto, which ONNX Runtime does not show in a browser.

const MODEL_METADATA = 14, ENTRY_KEY = 1, ENTRY_VALUE = 2;

/** The fields of a protobuf message: [number, bytes of what has a length, or else nothing]. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    // No length in a file goes beyond what a double counts exactly.
    for (let value = 0, unit = 1; ; unit *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("the file is cut off");
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    const length = { 1: 8, 2: 0, 5: 4 }[kind];
    if (kind === 0) varint();
    else if (length === undefined) throw new Error("this is no ONNX file");
    else {
      const end = (kind === 2 ? varint() : length) + at;
      if (bytes.length < end) throw new Error("the file is cut off");
      yield [Math.floor(tag / 8), bytes.subarray(at, end)];
      at = end;
    }
  }
}

/** The metadata of an ONNX file, by key. */
export function metadata(bytes) {
  const text = new TextDecoder();
  const found = {};
  for (const [number, entry] of fields(bytes)) {
    if (number !== MODEL_METADATA) continue;
    const parts = Object.fromEntries([...fields(entry)].map(([at, it]) => [at, text.decode(it)]));
    found[parts[ENTRY_KEY]] = parts[ENTRY_VALUE] ?? "";
  }
  return found;
}
