/* The gallery of new workflows: the address follows the name until somebody writes one. */
(() => {
  "use strict";
  const form = document.querySelector("[data-new-workflow]");
  const name = form?.elements["input.name"];
  const slug = form?.elements["input.slug"];
  if (!name || !slug) return;
  let made = slug.value;

  const slugOf = (text) =>
    text
      .normalize("NFKD")
      .replace(/[^\w\s-]/g, "")
      .trim()
      .toLowerCase()
      .replace(/[\s_-]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 55);

  name.addEventListener("input", () => {
    if (slug.value !== made) return;
    made = slugOf(name.value);
    slug.value = made;
  });
  name.focus();
})();
