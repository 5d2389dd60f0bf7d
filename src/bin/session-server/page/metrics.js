// Reads the text that Prometheus reads.

/** A sample is a name, its labels and a value. */
const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a text, by their name. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const found = SAMPLE.exec(line);
    if (!found) continue;
    const [, name, labels = '', value] = found;
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push({ labels: readLabels(labels), value: number(value) });
  }
  return samples;
}

function readLabels(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\(.)/g, (_, it) => (it === 'n' ? '\n' : it));
  }
  return labels;
}

function number(text) {
  if (text === '+Inf') return Infinity;
  return text === '-Inf' ? -Infinity : Number(text);
}

/** The sum of the samples of a name that have these labels; 0 if there are none. */
export function sum(samples, name, labels = {}) {
  const wanted = Object.entries(labels);
  const all = samples.get(name) ?? [];
  const those = all.filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value));
  return those.reduce((total, sample) => total + sample.value, 0);
}
