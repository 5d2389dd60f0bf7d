// How numbers and times are written.

/** A length of time in seconds, in one unit. */
export function span(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return '–';
  const all = Math.max(0, seconds);
  if (all < 1) return 'now';
  if (all < 60) return `${Math.floor(all)} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min`;
  if (all < 86400) return `${Math.floor(all / 3600)} h`;
  return `${Math.floor(all / 86400)} d`;
}

/** A number, short enough for a small place. */
export function count(value) {
  if (value === null || !Number.isFinite(value)) return '–';
  if (value >= 1e9) return `${digits(value / 1e9)} G`;
  if (value >= 1e6) return `${digits(value / 1e6)} M`;
  if (value >= 1e4) return `${digits(value / 1e3)} k`;
  return digits(value);
}

/** A length of time in seconds, exactly enough to compare. */
export function took(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return '–';
  return seconds < 1 ? `${digits(seconds * 1000)} ms` : `${digits(seconds)} s`;
}

function digits(value) {
  if (Number.isInteger(value) || value >= 100) return String(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A moment in seconds since 1970, as people write it where they are. */
export function moment(seconds) {
  return seconds === null ? '–' : new Date(seconds * 1000).toLocaleString();
}
