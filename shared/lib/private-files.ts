/** The mode of files with prompts and answers: only the owner may read and write them. Windows ignores modes. */
export const PRIVATE_FILE = 0o600

/** The mode of a folder that only its owner may enter. */
export const PRIVATE_FOLDER = 0o700
