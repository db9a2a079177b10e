/** Checking the secret that a webhook carries, in a time that tells nothing about it. */
import { hash, timingSafeEqual } from 'node:crypto';

/** Makes a check against any of the accepted secrets; several are accepted while one replaces another. */
export function createSecretCheck(secrets: readonly string[]): (candidate: string | undefined) => boolean {
  // Digests have one length, which `timingSafeEqual` wants, and hide how long the secrets are.
  const accepted = secrets.map(digest);
  return (candidate) => {
    if (candidate === undefined || candidate === '') return false;
    const given = digest(candidate);
    // Every secret is compared, so that the time does not tell which one came close.
    return accepted.map((secret) => timingSafeEqual(secret, given)).includes(true);
  };
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
