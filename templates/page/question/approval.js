// An approval: two buttons, no default, and nothing that the Enter key could press by accident.

export function createApproval() {
  return {
    element: null,
    actions: [
      { answer: 'approved', label: 'Approve', class: 'approve', icon: 'check' },
      { answer: 'rejected', label: 'Reject', class: 'reject', icon: 'cross' },
    ],
    read: (answer) => ({ value: answer, errors: [] }),
    raw: () => null,
    said: () => '',
    showErrors: (errors) => errors,
  };
}
