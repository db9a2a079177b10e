/** Checking the secret that a webhook carries, in a time that tells nothing about it. */
import { hash, timingSafeEqual } from 'node:crypto';

/**
 * Makes a check against all accepted secrets; several are accepted while one replaces another.
 * @returns a function from a candidate to the position of the secret that it is, or null.
 */
export function createSecretCheck(secrets: readonly string[]): (candidate: string | undefined) => number | null {
  // Digests have one length, which `timingSafeEqual` wants, and hide how long the secrets are.
  const accepted = secrets.map(digest);
  return (candidate) => {
    if (candidate === undefined || candidate === '') return null;
    const given = digest(candidate);
    // Every secret is compared, so that the time does not tell which one came close.
    const position = accepted.map((secret) => timingSafeEqual(secret, given)).indexOf(true);
    return position < 0 ? null : position;
  };
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
