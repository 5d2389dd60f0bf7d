// A line over the last minutes.

import { drawn } from './dom.js';

const WIDTH = 150;
const HEIGHT = 36;

/** Draws points of `[seconds, value]` into a plot that ends at `end` and is `length` seconds long. */
export class Plot {
  #line = drawn('polyline', { class: 'line', points: '' });
  #area = drawn('polygon', { class: 'area', points: '' });

  constructor() {
    const attributes = { class: 'plot', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' };
    this.element = drawn('svg', attributes, this.#area, this.#line);
  }

  draw(points, end, length, label) {
    const known = points.filter(([, value]) => Number.isFinite(value));
    const top = Math.max(...known.map(([, value]) => value), 0) || 1;
    const places = known.map(([at, value]) => {
      const x = WIDTH * (1 - (end - at) / length);
      return [x, 1 + (HEIGHT - 2) * (1 - value / top)].map((it) => it.toFixed(1)).join(',');
    });
    this.#line.setAttribute('points', places.join(' '));
    const foot = (place) => `${place.split(',')[0]},${HEIGHT}`;
    const closed = places.length > 1 ? [foot(places[0]), ...places, foot(places.at(-1))] : [];
    this.#area.setAttribute('points', closed.join(' '));
    this.element.setAttribute('aria-label', label);
  }
}
