import { describe, expect, it } from 'vitest';
import { quoted } from '../../src/base/visible.ts';
import { drawScreen, LiveArea, render, type Text, textOfLines } from '../../src/cli/terminal.ts';
import { pickText, runs, seeded } from '../support/random.ts';

/** Whatever a terminal obeys or hides, apart from tabs and newlines. */
const RAW = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const PIECES = [
  ...['\u001b[2J', '\u001b]0;t\u0007', '\r', '\b', '\0', '\u009b', '\u0085', '\u007f', '\u2028', '\u2029'],
  ...['\u202e', '\u2066', '\u200b', '\u200d', '\ufeff', '\ud83d', '\udc00', '\u{e0041}', '\u061c', '\u00ad'],
  ...['Error: ', 'hint: ', '\n', '\t', '"', '\\', 'é', '日本', 'x'.repeat(90)],
];

const ROUNDS = runs(1000);
const random = seeded(613);
const anyUnit = (): string => String.fromCharCode(Math.floor(random() * 0x10000));
const anyText = (): string => `${pickText(random, PIECES, 8)}${anyUnit()}${pickText(random, PIECES, 4)}`;

describe('the edge', () => {
  it('lets no text through that a terminal obeys', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const text = anyText();
      const parts: Text = [text, { text, colour: 36 }];
      const drawn: string[] = [];
      const live = new LiveArea({ write: (each: string) => drawn.push(each), columns: 80, rows: 24 });
      live.show([{ text, width: 10 }]);
      const lines = textOfLines([text, parts]);
      for (const [shown, newlines] of [
        [render(text), undefined],
        [render(lines), 2],
        // biome-ignore lint/suspicious/noControlCharactersInRegex: fleet's own sequences
        [drawScreen([text, text]).replace(/\u001b\[[HKJ]/g, ''), 2],
        [drawn.join(''), 1],
        [quoted(text), 0],
        [render(quoted(text)), 0],
      ] as const) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: fleet's own colours
        const rest = shown.replace(/\u001b\[36m|\u001b\[0m/g, '');
        expect(rest.replaceAll(/[\t\n]/g, '')).not.toMatch(RAW);
        if (newlines !== undefined) expect(rest.split('\n').length - 1).toBe(newlines);
      }
    }
  });

  it('puts colours around what was made visible', () => {
    expect(render([{ text: '[m1 a\u001b[0m]', colour: 36 }, ' x'])).toBe(
      '\u001b[36m[m1 a\\u001b[0m]\u001b[0m x',
    );
  });

  it('wipes what was on a screen before, line by line and below', () => {
    expect(drawScreen(['a', 'b'])).toBe('\u001b[Ha\u001b[K\nb\u001b[K\n\u001b[J');
  });
});
