/// Sending a request.
import { IconSend } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function RequestPage() {
  return (
    <EmptyState icon={IconSend} title="Request">
      This page is being built.
    </EmptyState>
  );
}
