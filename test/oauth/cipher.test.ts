import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createCipher, SealError } from '../../src/oauth/cipher.ts';

const [old, young, strange] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const TEXT = 'tökens "and" such';

describe('what is sealed', () => {
  it('opens with the same key and for the same purpose, and never looks the same twice', () => {
    const cipher = createCipher([young]);
    const sealed = cipher.seal(TEXT, 'a');
    expect(cipher.open(sealed, 'a')).toBe(TEXT);
    expect(sealed).not.toContain(TEXT);
    expect(cipher.seal(TEXT, 'a')).not.toBe(sealed);
    expect(() => cipher.open(sealed, 'b')).toThrow(SealError);
  });

  it('opens after a rotation while the former key is listed, and is sealed anew with the new one', () => {
    const sealed = createCipher([old]).seal(TEXT, 'a');
    const rotated = createCipher([young, old]);
    expect(rotated.open(sealed, 'a')).toBe(TEXT);
    expect(rotated.isOutdated(sealed)).toBe(true);
    const anew = rotated.seal(TEXT, 'a');
    expect(rotated.isOutdated(anew)).toBe(false);
    expect(createCipher([young]).open(anew, 'a')).toBe(TEXT);
    expect(() => createCipher([young]).open(sealed, 'a')).toThrow(/TOKEN_KEY does not list/);
  });

  it('does not open with another key, nor when a single bit was changed, cut off or added', () => {
    const cipher = createCipher([young]);
    const sealed = cipher.seal(TEXT, 'a');
    expect(() => createCipher([strange]).open(sealed, 'a')).toThrow(SealError);
    const [format, name, data = ''] = sealed.split('.');
    const bytes = Buffer.from(data, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(() => cipher.open(`${format}.${name}.${changed.toString('base64url')}`, 'a'), `bit ${bit}`).toThrow(
        SealError,
      );
    }
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = bytes.subarray(0, length).toString('base64url');
      expect(() => cipher.open(`${format}.${name}.${cut}`, 'a')).toThrow(SealError);
    }
    expect(() => cipher.open(`${sealed}AAAA`, 'a')).toThrow(SealError);
    expect(() => cipher.open(`v0.${name}.${data}`, 'a')).toThrow(SealError);
    expect(() => cipher.open('', 'a')).toThrow(SealError);
  });
});
