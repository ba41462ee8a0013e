// Forms that the server renders from contracts, shown inside the editor: one form engine, one validator.
import { csrfToken } from "../../api";

const PARSER = new DOMParser();

/** POSTs and gives back the elements of the HTML answer, also of one that says what is wrong with the input. */
export async function postForElements(
  url: string,
  body: FormData | object,
  signal?: AbortSignal,
): Promise<readonly Node[]> {
  const isForm = body instanceof FormData;
  const response = await fetch(url, {
    method: "POST",
    credentials: "same-origin",
    headers: {
      Accept: "text/html",
      "X-CSRFToken": csrfToken(),
      ...(isForm ? {} : { "Content-Type": "application/json" }),
    },
    body: isForm ? body : JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("text/html")) throw new Error(await problemOf(response));
  if (response.status === 401 || response.redirected) throw new Error("You are signed out. Sign in again to go on.");
  const page = PARSER.parseFromString(await response.text(), "text/html");
  for (const script of page.querySelectorAll("script")) script.remove();
  return [...page.body.childNodes].map((node) => document.adoptNode(node));
}

async function problemOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => ({}))) as { readonly detail?: string; readonly title?: string };
  return body.detail ?? body.title ?? "The server did not answer.";
}
