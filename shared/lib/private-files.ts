/** What only its owner may read and write: prompts and answers are in these files. Windows ignores modes. */
export const PRIVATE_FILE = 0o600

/** A folder that only its owner may enter. */
export const PRIVATE_FOLDER = 0o700
