// Talking to /api/v1. Answers that are not 2xx become an ApiError with the problem's own sentence.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The problem's code: "revision_conflict". */
    readonly code = "",
    /** All members of the problem. */
    readonly problem: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.name = "ApiError";
  }
}

interface Problem {
  readonly title?: string;
  readonly detail?: unknown;
  readonly code?: string;
}

interface Options {
  readonly signal?: AbortSignal | undefined;
  /** Goes on when the page is closed; at most 64 kB. */
  readonly keepalive?: boolean;
}

const SENTENCES: Readonly<Record<number, string>> = {
  401: "You are signed out. Sign in again to go on.",
  403: "You may not do this any more.",
  404: "This is no longer here.",
  413: "This is larger than Baton takes.",
};
const CSRF_COOKIE = /(?:^|;\s*)(?:__Host-baton-csrf|baton_csrf)=([^;]+)/;

/** GET a JSON document. */
export async function getJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  return (await ask("GET", url, undefined, { signal })) as T;
}

/** Send a JSON document; the answer's JSON, or undefined when it has none. */
export async function sendJson<T>(
  method: "POST" | "PUT" | "DELETE",
  url: string,
  body: unknown,
  options: Options = {},
): Promise<T> {
  return (await ask(method, url, JSON.stringify(body), options)) as T;
}

async function ask(
  method: string,
  url: string,
  body: string | undefined,
  { signal, keepalive }: Options,
): Promise<unknown> {
  const response = await fetch(url, {
    method,
    headers: {
      Accept: "application/json",
      ...(body === undefined ? {} : { "Content-Type": "application/json", "X-CSRFToken": csrfToken() }),
    },
    credentials: "same-origin",
    ...(body === undefined ? {} : { body }),
    ...(signal ? { signal } : {}),
    ...(keepalive ? { keepalive } : {}),
  });
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer;
  const problem = (answer ?? {}) as Problem;
  const detail = typeof problem.detail === "string" ? problem.detail : undefined;
  // Why a session is no longer good says nothing to a person; what to do does.
  const told = response.status === 401 ? undefined : detail;
  const message =
    told ?? SENTENCES[response.status] ?? problem.title ?? "The server did not answer.";
  throw new ApiError(response.status, message, problem.code ?? "", { ...problem });
}

/** Read at each request: signing in again gives another one. */
export function csrfToken(): string {
  return CSRF_COOKIE.exec(document.cookie)?.[1] ?? "";
}
