/// Choosing an environment and editing its variables.
import { ActionIcon, Button, Checkbox, Group, Modal, Select, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconTrash, IconVariable } from '@tabler/icons-react';
import { type Variable, setEnvironments, useEnvironments } from './variables';

export function Environments() {
  const { environments, chosen } = useEnvironments();
  const [opened, { open, close }] = useDisclosure();
  const current = environments.find(({ name }) => name === chosen);
  const setVariables = (variables: Variable[]) =>
    setEnvironments({
      environments: environments.map((one) => (one.name === chosen ? { ...one, variables } : one)),
      chosen,
    });
  function add() {
    const taken = new Set(environments.map(({ name }) => name));
    let number = environments.length + 1;
    while (taken.has(`environment ${number}`)) {
      number += 1;
    }
    const name = `environment ${number}`;
    setEnvironments({ environments: [...environments, { name, variables: [] }], chosen: name });
  }
  const lines = [...(current?.variables ?? []), { name: '', value: '', secret: false }];
  const change = (index: number, part: Partial<Variable>) =>
    setVariables(lines.map((line, at) => (at === index ? { ...line, ...part } : line)).filter(({ name, value }) => name !== '' || value !== ''));
  return (
    <>
      <Button size="compact-sm" variant="subtle" color="gray" leftSection={<IconVariable size={15} aria-hidden />} onClick={open}>
        {chosen ?? 'No environment'}
      </Button>
      <Modal opened={opened} onClose={close} title="Variables" size="lg">
        <Stack>
          <Text size="sm" c="dimmed">
            Write {'{{name}}'} anywhere in a request; the value of the chosen environment is put in when it is sent. Variables
            stay in this browser; secret ones are forgotten with the page.
          </Text>
          <Group align="flex-end">
            <Select
              label="Environment"
              placeholder="None"
              data={environments.map(({ name }) => name)}
              value={chosen}
              clearable
              clearButtonProps={{ 'aria-label': 'Choose no environment' }}
              onChange={(name) => setEnvironments({ environments, chosen: name })}
              flex={1}
            />
            <Button variant="default" onClick={add}>
              New environment
            </Button>
          </Group>
          {current !== undefined && (
            <>
              <TextInput
                label="Name"
                value={current.name}
                onChange={(event) => {
                  const name = event.currentTarget.value;
                  if (!environments.some((one) => one !== current && one.name === name)) {
                    setEnvironments({
                      environments: environments.map((one) => (one === current ? { ...one, name } : one)),
                      chosen: name,
                    });
                  }
                }}
              />
              <Stack gap={4}>
                {lines.map((line, index) => (
                  <Group key={index} gap={6} wrap="nowrap" role="group" aria-label={`variable ${index + 1}`}>
                    <TextInput size="xs" w="32%" placeholder="Name" aria-label={`Name of variable ${index + 1}`} className="mono" value={line.name} onChange={(event) => change(index, { name: event.currentTarget.value })} />
                    <TextInput
                      size="xs"
                      flex={1}
                      placeholder="Value"
                      aria-label={`Value of variable ${index + 1}`}
                      className="mono"
                      type={line.secret ? 'password' : 'text'}
                      autoComplete="off"
                      value={line.value}
                      onChange={(event) => change(index, { value: event.currentTarget.value })}
                    />
                    <Checkbox size="xs" label="Secret" checked={line.secret} onChange={(event) => change(index, { secret: event.currentTarget.checked })} />
                    <ActionIcon
                      variant="subtle"
                      color="gray"
                      aria-label={`Remove variable ${index + 1}`}
                      style={index === lines.length - 1 ? { visibility: 'hidden' } : undefined}
                      onClick={() => setVariables(current.variables.filter((_, at) => at !== index))}
                    >
                      <IconTrash size={15} />
                    </ActionIcon>
                  </Group>
                ))}
              </Stack>
              <Group justify="flex-end">
                <Button
                  variant="default"
                  onClick={() => setEnvironments({ environments: environments.filter((one) => one !== current), chosen: null })}
                >
                  Delete environment
                </Button>
              </Group>
            </>
          )}
        </Stack>
      </Modal>
    </>
  );
}
