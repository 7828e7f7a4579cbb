/// The name that fleet certificates carry beside the worker's own (`deploy/fleet-ca.sh`): whoever shows it belongs to the fleet.
package enum FleetName {
    package static let expected = "ferry-fleet"
}
