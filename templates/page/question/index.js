// Chooses the control for a request's kind. A control has: element (or null), actions (its buttons), read(answer) ->
// {value, errors}, raw() for the draft, said() for people to read,
// and showErrors(errors), which gives back the errors it has no place for.

import { createApproval } from './approval.js';
import { createChoice } from './choice.js';
import { createForm } from './form.js';
import { createInput } from './input.js';

const CONTROLS = { approval: createApproval, choice: createChoice, input: createInput, form: createForm };

/** Null for a kind that this page does not know; the card then says so. */
export const createControl = ({ request, draft, onInput }) =>
  CONTROLS[request.kind]?.({ request, draft, onInput }) ?? null;
