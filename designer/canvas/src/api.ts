// Reading from /api/v1. Answers that are not 2xx become an ApiError with the problem's own sentence.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

interface Problem {
  readonly title?: string;
  readonly detail?: string;
}

const SENTENCES: Readonly<Record<number, string>> = {
  401: "You are signed out. Sign in again to go on.",
  403: "You may not see this run any more.",
  404: "This run is no longer here.",
};

/** GET a JSON document. */
export async function getJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(url, {
    headers: { Accept: "application/json" },
    credentials: "same-origin",
    ...(signal ? { signal } : {}),
  });
  if (!response.ok) {
    const problem = await response
      .json()
      .then((body: unknown) => body as Problem)
      .catch((): Problem => ({}));
    throw new ApiError(
      response.status,
      problem.detail ?? SENTENCES[response.status] ?? problem.title ?? "The server did not answer.",
    );
  }
  return (await response.json()) as T;
}
