// Prints the errors of a ServiceMonitor, given as JSON, as a list.
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const errors = [];
try {
  new ServiceMonitor(JSON.parse(process.argv[2])).validate();
} catch (error) {
  errors.push(String(error));
}
console.log(JSON.stringify(errors));
